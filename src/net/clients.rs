//! The clients of one core, by connection.

use super::client::Client;
use crate::runtime::face::ConnId;

/// A table indexed like the engine's table of connections.
#[derive(Default)]
pub struct Clients {
    slots: Vec<Option<Box<Client>>>,
    count: usize,
}

impl Clients {
    /// Adds a client under its connection's index, which must be free.
    pub fn insert(&mut self, client: Client) {
        let index = client.conn.index as usize;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        assert!(self.slots[index].is_none(), "an index is reused only after its client has left");
        self.slots[index] = Some(Box::new(client));
        self.count += 1;
    }

    /// The client of a connection, unless it has left.
    #[inline]
    pub fn get(&mut self, conn: ConnId) -> Option<&mut Client> {
        let client = self.slots.get_mut(conn.index as usize)?.as_deref_mut()?;
        (client.conn == conn).then_some(client)
    }

    /// The client at an index, which must be there.
    #[inline]
    pub fn at(&mut self, index: u32) -> &mut Client {
        self.slots[index as usize].as_deref_mut().expect("the client is there")
    }

    /// The client at an index, which must be there, to be looked at.
    pub fn peek(&self, index: u32) -> &Client {
        self.slots[index as usize].as_deref().expect("the client is there")
    }

    /// The client at an index, if it is there.
    pub fn try_at(&mut self, index: u32) -> Option<&mut Client> {
        self.slots.get_mut(index as usize)?.as_deref_mut()
    }

    /// Removes a client.
    pub fn remove(&mut self, conn: ConnId) -> Option<Box<Client>> {
        self.get(conn)?;
        self.count -= 1;
        self.slots[conn.index as usize].take()
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(|slot| slot.as_deref())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Client> {
        self.slots.iter_mut().filter_map(|slot| slot.as_deref_mut())
    }
}
