//! What the shard notices for those who asked for keyspace notifications, until its core publishes it.
//!
//! `tx/finish.rs` hands every effect over; what `notify-keyspace-events` does not ask for is dropped here. While it asks
//! for nothing, effects have one follower less, and nothing comes here at all.

use super::effects::{Class, Effect, Wants};

/// What `notify-keyspace-events` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NoticeWants {
    /// Channels of keys (`K`).
    pub keyspace: bool,
    /// Channels of events (`E`).
    pub keyevent: bool,
    /// Channels of keys that name fields (`S`).
    pub subkeyspace: bool,
    /// Channels of events that name keys and fields (`T`).
    pub subkeyevent: bool,
    /// Channels of fields (`I`).
    pub subkeyspaceitem: bool,
    /// Channels of events of keys, which name fields (`V`).
    pub subkeyspaceevent: bool,
    /// A bit per [`Class`].
    pub classes: u32,
}

impl NoticeWants {
    /// Is anything to be published at all?
    pub fn any(&self) -> bool {
        self.classes != 0 && (self.keyspace || self.keyevent || self.any_subkeys())
    }

    /// Is anything to be published about fields?
    pub fn any_subkeys(&self) -> bool {
        self.subkeyspace || self.subkeyevent || self.subkeyspaceitem || self.subkeyspaceevent
    }

    /// Is a class asked for?
    #[inline]
    pub fn has(&self, class: Class) -> bool {
        self.classes & class.bit() != 0
    }

    /// The news that are recorded only for who wants them.
    pub fn rare(&self) -> Wants {
        let wants = |class| self.any() && self.has(class);
        Wants {
            new: wants(Class::New),
            misses: wants(Class::KeyMiss),
            overwritten: wants(Class::Overwritten),
            type_changed: wants(Class::TypeChanged),
            subkeys: self.any_subkeys() && self.has(Class::Hash),
        }
    }
}

/// What is to be published.
#[derive(Default)]
pub struct Notices {
    pub wants: NoticeWants,
    pending: Vec<Effect>,
}

impl Notices {
    /// An effect: kept if somebody asked for its class.
    #[inline]
    pub fn take_effect(&mut self, effect: Effect) {
        if self.wants.has(effect.event.class) {
            self.pending.push(effect);
        }
    }

    /// What was done is undone, so nobody is told of it. Keys that went of themselves stay away.
    pub fn undo(&mut self) {
        self.pending.retain(|effect| matches!(effect.event.class, Class::Expired | Class::Evicted));
    }

    /// Is anything to be published?
    #[inline]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes what is to be published; its memory comes back by [`Notices::give_back`].
    pub fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.pending)
    }

    /// Gives back the memory of what was taken.
    pub fn give_back(&mut self, mut empty: Vec<Effect>) {
        empty.clear();
        if self.pending.is_empty() {
            self.pending = empty;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::effects::Event;
    use crate::types::DbIndex;

    fn effect(event: Event) -> Effect {
        Effect { db: DbIndex(0), key: b"k".as_slice().into(), event, subkeys: None }
    }

    #[test]
    fn only_classes_that_are_asked_for_are_kept() {
        let mut notices = Notices::default();
        notices.take_effect(effect(Event::SET));
        assert!(!notices.has_pending());
        notices.wants =
            NoticeWants { keyspace: true, classes: Class::String.bit(), ..NoticeWants::default() };
        notices.take_effect(effect(Event::DEL));
        notices.take_effect(effect(Event::SET));
        assert_eq!(notices.take(), [effect(Event::SET)]);
    }

    #[test]
    fn nothing_is_wanted_without_a_kind_of_channel() {
        let mut wants = NoticeWants { classes: !0, ..NoticeWants::default() };
        assert!(!wants.any() && wants.rare() == Wants::default());
        wants.keyevent = true;
        assert!(wants.any() && wants.rare().new && !wants.rare().subkeys);
        wants = NoticeWants { subkeyspaceitem: true, classes: Class::Hash.bit(), ..NoticeWants::default() };
        assert!(wants.any() && wants.rare() == Wants { subkeys: true, ..Wants::default() });
        wants.classes = Class::Set.bit();
        assert!(!wants.rare().subkeys);
    }
}
