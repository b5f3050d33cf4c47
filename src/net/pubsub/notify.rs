//! Keyspace notifications: what the shard noticed, published on `__keyspace@<db>__:<key>` and `__keyevent@<db>__:<event>`,
//! and with the fields it is about on
//!
//! ```text
//! S  __subkeyspace@<db>__:<key>               <event>|<length>:<field>,...
//! T  __subkeyevent@<db>__:<event>             <length>:<key>|<length>:<field>,...
//! I  __subkeyspaceitem@<db>__:<key>\n<field>  <event>
//! V  __subkeyspaceevent@<db>__:<event>|<key>  <length>:<field>,...
//! ```
//!
//! The shard keeps what `notify-keyspace-events` asks for (`shard/notices.rs`), and the core publishes it right after
//! the command that caused it. No command knows of this.

use crate::net::core::Core;
use crate::pubsub::Space;
use crate::pubsub::message::{Message, Text};
use crate::shard::Subkeys;
use crate::shard::effects::Effect;
use crate::shard::notices::NoticeWants;

impl Core {
    /// Publishes what the shard has noticed.
    #[cold]
    pub fn notify(&mut self) {
        let mut pending = self.shard.notices.take();
        self.notify_of(&pending);
        pending.clear();
        self.shard.notices.give_back(pending);
    }

    /// Publishes what was noticed, here or on a shard that was lent to this core.
    pub fn notify_of(&mut self, effects: &[Effect]) {
        let wants = self.shard.notices.wants;
        if !self.shared.presence.is_empty() {
            let mut channel = Vec::new();
            for effect in effects {
                let event = effect.event.name.as_bytes();
                if wants.keyspace {
                    name(&mut channel, "keyspace", effect, &[&effect.key]);
                    self.announce_text(&channel, event);
                }
                if wants.keyevent {
                    name(&mut channel, "keyevent", effect, &[event]);
                    self.announce_text(&channel, &effect.key);
                }
                if let Some(subkeys) = &effect.subkeys {
                    self.notify_of_subkeys(wants, effect, subkeys);
                }
            }
        }
    }

    /// Redis: a channel of a field is not told of a key with a line break, which is what parts the two.
    fn notify_of_subkeys(&mut self, wants: NoticeWants, effect: &Effect, subkeys: &Subkeys) {
        let (event, key) = (effect.event.name.as_bytes(), &effect.key[..]);
        let (mut channel, mut text) = (Vec::new(), Vec::new());
        if wants.subkeyspace {
            name(&mut channel, "subkeyspace", effect, &[key]);
            join(&mut text, &[event, b"|", subkeys.shown()]);
            self.announce_text(&channel, &text);
        }
        if wants.subkeyevent {
            name(&mut channel, "subkeyevent", effect, &[event]);
            let length = itoa::Buffer::new().format(key.len()).to_owned();
            join(&mut text, &[length.as_bytes(), b":", key, b"|", subkeys.shown()]);
            self.announce_text(&channel, &text);
        }
        if wants.subkeyspaceitem && !key.contains(&b'\n') {
            for field in subkeys.iter() {
                name(&mut channel, "subkeyspaceitem", effect, &[key, b"\n", field]);
                self.announce_text(&channel, event);
            }
        }
        if wants.subkeyspaceevent {
            name(&mut channel, "subkeyspaceevent", effect, &[event, b"|", key]);
            self.announce_text(&channel, subkeys.shown());
        }
    }

    fn announce_text(&mut self, channel: &[u8], text: &[u8]) {
        self.announce(&Message { space: Space::Channel, channel, text: Text::Short(text) });
    }
}

fn name(channel: &mut Vec<u8>, kind: &str, effect: &Effect, rest: &[&[u8]]) {
    join(
        channel,
        &[b"__", kind.as_bytes(), b"@", itoa::Buffer::new().format(effect.db.0).as_bytes(), b"__:"],
    );
    rest.iter().for_each(|part| channel.extend_from_slice(part));
}

fn join(text: &mut Vec<u8>, parts: &[&[u8]]) {
    text.clear();
    parts.iter().for_each(|part| text.extend_from_slice(part));
}
