use super::shard::Shard;
impl Shard {
    pub fn publish_memory(&mut self) {}
    pub fn next_expiry_ms(&self) -> Option<u64> { None }
    pub fn has_background(&self) -> bool { !self.graveyard.is_empty() }
    pub fn background(&mut self, _now_ms: u64, _budget_us: u64) -> bool { self.graveyard.drop_slice() }
}
