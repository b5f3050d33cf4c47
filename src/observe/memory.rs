//! MEMORY DOCTOR's judgement.

use super::report::{CoreReport, Memory};

/// Below this use nothing is worth judging.
const SMALL_BYTES: u64 = 5 << 20;

/// What is wrong with the memory, in words.
pub fn doctor(memory: &Memory, total: &CoreReport) -> String {
    if memory.used < SMALL_BYTES {
        return "The keyspace is nearly empty: there is nothing to judge yet.\n".into();
    }
    let mut found = Vec::new();
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    if memory.peak > memory.used + memory.used / 2 {
        found.push(format!(
            "The most memory ever used ({} bytes) is more than half above what is used now ({} bytes). The allocator may \
             still hold pages of that time: MEMORY PURGE gives them back.",
            memory.peak, memory.used
        ));
    }
    if memory.rss > memory.used + memory.used * 2 / 5 && memory.rss - memory.used > 10 << 20 {
        found.push(format!(
            "Resident memory is {:.0}% of what is used: pages are held that no key needs. MEMORY PURGE may help; large \
             values that change their size often cause it.",
            percent(memory.rss, memory.used)
        ));
    }
    if total.clients > 0 && total.client_bytes / total.clients > 200 * 1024 {
        found.push(
            "Clients hold more than 200 KB each on average: some read their replies slower than they ask (CLIENT LIST \
             shows them by omem and qbuf), or send large requests."
                .into(),
        );
    }
    if memory.maxmemory > 0 && percent(memory.used, memory.maxmemory) > 90.0 {
        found.push(format!("{:.1}% of maxmemory is in use.", percent(memory.used, memory.maxmemory)));
    }
    let heaviest = total.lazy_bytes;
    if heaviest > memory.used / 4 {
        found.push(format!("{heaviest} bytes of deleted values still wait to be freed in the background."));
    }
    if found.is_empty() {
        return "No memory problem was found.\n".into();
    }
    let mut text = String::from("What was found about the memory:\n\n");
    for finding in found {
        text.push_str(" * ");
        text.push_str(&finding);
        text.push_str("\n\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doctor_speaks_up_when_there_is_reason() {
        let memory = Memory { used: 100 << 20, peak: 100 << 20, rss: 110 << 20, ..Memory::default() };
        assert!(doctor(&Memory::default(), &CoreReport::default()).contains("nothing to judge"));
        assert!(doctor(&memory, &CoreReport::default()).contains("No memory problem"));
        let fat = Memory { rss: 300 << 20, peak: 200 << 20, maxmemory: 101 << 20, ..memory };
        assert_eq!(doctor(&fat, &CoreReport::default()).matches(" * ").count(), 3);
    }
}
