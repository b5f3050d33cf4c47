//! The registry: every family's rows in one table, and the functions bound to rows that need their core.

use std::sync::{Arc, LazyLock};

use super::commands::{
    about, command, config, debug, info, latency, lolwut, memory, monitor, save, shutdown, slowlog,
};
use crate::commands::spec::{Row, Run};
use crate::commands::{CommandTable, FAMILIES};
use crate::net::dispatch::Bound;
use crate::net::pubsub::commands as pubsub;
use crate::net::{client_commands, connection, functions, multi, scripts};
use crate::script::rows;

/// The commands of subsystems. Their rows are numbered after those of [`FAMILIES`].
const SUBSYSTEMS: &[&[Row]] = &[
    multi::ROWS,
    connection::ROWS,
    client_commands::ROWS,
    command::ROWS,
    config::ROWS,
    debug::ROWS,
    save::ROWS,
    shutdown::ROWS,
    about::ROWS,
    lolwut::ROWS,
    info::ROWS,
    slowlog::ROWS,
    latency::ROWS,
    memory::ROWS,
    monitor::ROWS,
    pubsub::ROWS,
    rows::ROWS,
];

/// Every subsystem's bindings, by full name.
const BINDINGS: &[&[(&str, Bound)]] = &[
    multi::BINDINGS,
    connection::BINDINGS,
    client_commands::BINDINGS,
    command::BINDINGS,
    config::BINDINGS,
    debug::BINDINGS,
    save::BINDINGS,
    shutdown::BINDINGS,
    lolwut::BINDINGS,
    info::BINDINGS,
    slowlog::BINDINGS,
    latency::BINDINGS,
    memory::BINDINGS,
    monitor::BINDINGS,
    pubsub::BINDINGS,
    scripts::BINDINGS,
    functions::BINDINGS,
];

/// The table of commands, which lives as long as the process.
pub fn table() -> &'static CommandTable {
    static TABLE: LazyLock<CommandTable> =
        LazyLock::new(|| CommandTable::new(&[FAMILIES, SUBSYSTEMS].concat()));
    &TABLE
}

/// The bound function of every row. Panics when a row and its binding do not fit: any test finds that.
pub fn bind(table: &CommandTable) -> Arc<Vec<Bound>> {
    let mut bound = vec![Bound::Plain; table.len()];
    for (name, binding) in BINDINGS.iter().flat_map(|list| list.iter()) {
        let id = table.find_full(name.as_bytes()).unwrap_or_else(|| panic!("{name} is bound but has no row"));
        bound[id.index()] = *binding;
    }
    for (id, entry) in table.iter() {
        let fits = matches!(
            (entry.row.run, bound[id.index()]),
            (Run::Bound | Run::Container, Bound::Here(_))
                | (Run::Bound, Bound::Publish(_))
                | (Run::Broadcast, Bound::Broadcast { .. })
                | (
                    Run::Container
                        | Run::Local(_)
                        | Run::OnShard(_)
                        | Run::PerKey { .. }
                        | Run::Hops { .. }
                        | Run::AllShards { .. }
                        | Run::AtShard { .. }
                        | Run::Script,
                    Bound::Plain
                )
        );
        assert!(fits, "the binding of {} does not fit how it runs", entry.full_name);
    }
    Arc::new(bound)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_row_that_needs_its_core_is_bound() {
        super::bind(super::table());
    }
}
