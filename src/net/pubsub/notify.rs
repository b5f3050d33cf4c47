//! Keyspace notifications: what the shard noticed, published on `__keyspace@<db>__:<key>` and `__keyevent@<db>__:<event>`.
//!
//! The shard keeps what `notify-keyspace-events` asks for (`shard/notices.rs`), and the core publishes it right after
//! the command that caused it. No command knows of this.

use crate::net::core::Core;
use crate::pubsub::Space;
use crate::pubsub::message::{Message, Text};
use crate::shard::effects::Effect;

impl Core {
    /// Publishes what the shard has noticed.
    #[cold]
    pub fn notify(&mut self) {
        let mut pending = self.shard.notices.take();
        let wants = self.shard.notices.wants;
        if !self.shared.presence.is_empty() {
            let mut channel = Vec::new();
            for effect in &pending {
                if wants.keyspace {
                    name(&mut channel, "keyspace", effect, &effect.key);
                    self.announce_text(&channel, effect.event.name.as_bytes());
                }
                if wants.keyevent {
                    name(&mut channel, "keyevent", effect, effect.event.name.as_bytes());
                    self.announce_text(&channel, &effect.key);
                }
            }
        }
        pending.clear();
        self.shard.notices.give_back(pending);
    }

    fn announce_text(&mut self, channel: &[u8], text: &[u8]) {
        self.announce(&Message { space: Space::Channel, channel, text: Text::Short(text) });
    }
}

fn name(channel: &mut Vec<u8>, kind: &str, effect: &Effect, rest: &[u8]) {
    channel.clear();
    for part in
        [b"__", kind.as_bytes(), b"@", itoa::Buffer::new().format(effect.db.0).as_bytes(), b"__:", rest]
    {
        channel.extend_from_slice(part);
    }
}
