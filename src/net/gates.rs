//! The gates every request passes, in Redis's order, and how one that fails is answered.

use super::client::Stall;
use super::core::Core;
use super::dispatch::Bound;
use crate::commands::spec::{Flags, Run};
use crate::commands::{CommandError, RowId, quoted};
use crate::config::id;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::tx::Route;
use crate::tx::execute::write_error;
use crate::tx::route::route;

/// Commands a connection may have outstanding at other shards.
const OUTSTANDING_MAX: usize = 4096;

const DEBUG_NOT_ALLOWED: CommandError = CommandError::Line(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);

/// What becomes of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// It is under way or done.
    Taken,
    /// It has to wait and was not begun: parse it again later.
    Later,
}

impl Core {
    /// One request: the gates in Redis's order, then on its way.
    #[inline]
    pub(super) fn request(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: Option<RowId>,
        argv: Argv<'_>,
    ) -> Flow {
        let table = self.table;
        let Some(mut row) = row else { return self.refuse_unknown(conn, argv) };
        let mut entry = table.entry(row);
        if matches!(entry.row.run, Run::Container) || (!entry.children.is_empty() && argv.len() > 1) {
            match argv.try_get(1).map(|word| table.find_word(row, word)) {
                Some(Some(child)) => {
                    row = child;
                    entry = table.entry(child);
                }
                Some(None) => return self.refuse_subcommand(conn, row, argv),
                None => {}
            }
        }
        if !entry.row.arity_accepts(argv.len()) {
            let line = CommandError::WrongArity(entry.full_name);
            return self.reject(conn, row, &line);
        }
        let client = self.clients.at(conn.index);
        let (asker, authenticated, in_multi) = (client.id, client.authenticated, client.multi.is_some());
        if entry.row.flags.has(Flags::PROTECTED) && !self.is_allowed(id::ENABLE_DEBUG_COMMAND, asker) {
            return self.reject(conn, row, &DEBUG_NOT_ALLOWED);
        }
        if !authenticated && !entry.row.flags.has(Flags::NO_AUTH) && self.requires_password() {
            return self.reject(conn, row, &CommandError::Line("NOAUTH Authentication required."));
        }
        if self.lacks_replicas && entry.is_write {
            return self.reject(conn, row, &CommandError::NoReplicas);
        }
        if super::pubsub::is_subscriber_only(self.clients.at(conn.index))
            && !super::pubsub::is_for_subscribers(entry.full_name)
        {
            return self.reject(conn, row, &super::pubsub::refusal(entry.full_name));
        }
        if self.shared.durable.is_gated() {
            if self.reload_holds(conn, entry) {
                return self.stall(conn, Stall::Paused);
            }
            if let Some(error) = self.durable_refusal(conn, entry) {
                return self.reject(conn, row, &error);
            }
        }
        if self.is_any_busy()
            && let Some(error) = self.busy_refusal(row, entry, argv)
        {
            return self.reject(conn, row, &error);
        }
        if self.pause_holds(conn, entry, argv) {
            return self.stall(conn, Stall::Paused);
        }
        if in_multi && !super::multi::runs_inside_multi(entry.full_name) {
            return self.queue_in_multi(conn, row, argv);
        }
        self.start(io, conn, row, argv)
    }

    /// Runs a command that has passed the gates.
    fn start(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, argv: Argv<'_>) -> Flow {
        let table = self.table;
        let entry = table.entry(row);
        let client = self.clients.at(conn.index);
        if client.owes_more_than(self.output_stall_bytes) {
            return self.stall(conn, Stall::Output);
        }
        let way = match route(entry, argv, self.placement, self.me) {
            Ok(Route::Shard(_))
                if entry.is_script && self.shared.shards > 1 && self.is_wide_script(entry, argv) =>
            {
                Route::Several
            }
            Ok(way) => way,
            Err(error) => return self.reject(conn, row, &error),
        };
        let client = self.clients.at(conn.index);
        let (outstanding, in_multi) = (client.outstanding, client.multi.is_some());
        // Rules (d) and (e) of the module's head in `core.rs`.
        let must_wait = outstanding > 0
            && match way {
                Route::Several | Route::Broadcast => true,
                // A walk over shards knows of keys elsewhere when who made them was told.
                Route::Shard(_) if matches!(entry.row.run, Run::AtShard { .. }) => true,
                Route::Shard(shard) => {
                    (self.tx_mode && client.outstanding_at != shard) || outstanding >= OUTSTANDING_MAX
                }
                Route::Bound => match self.bound[row.index()] {
                    Bound::Publish(_) => self.tx_mode || outstanding >= OUTSTANDING_MAX,
                    _ => super::multi::waits_for_answers(entry.full_name),
                },
                Route::Local => false,
            };
        if must_wait {
            return self.stall(conn, Stall::Answers);
        }
        if way == Route::Several && entry.is_script {
            if self.waits_for_sitting() {
                self.loans.behind.push(conn);
                return self.stall(conn, Stall::Visited);
            }
            if self.waits_for_rest() {
                self.loans.patient.push(conn);
                return self.stall(conn, Stall::Visited);
            }
        }
        let has_credit = match way {
            Route::Shard(shard) => shard == self.me || self.port.has_credit(shard.index()),
            Route::Bound => match self.bound[row.index()] {
                Bound::Publish(space) => self.has_credit_to_publish(space, argv.get(1)),
                _ => true,
            },
            _ => true,
        };
        if !has_credit {
            return self.stall(conn, Stall::Credit);
        }
        crate::sys::crash::note_command(entry.full_name);
        let client = self.clients.at(conn.index);
        client.begin_command();
        if let Some(tracking) = client.tracking.as_deref_mut()
            && !in_multi
        {
            let after_client =
                client.last_command.is_some_and(|last| table.entry(last).full_name.starts_with("client|"));
            tracking.begin_command(after_client);
        }
        client.commands += 1;
        client.last_command = Some(row);
        if self.has_monitors() {
            return self.start_shown(io, conn, row, way, argv);
        }
        self.run(io, conn, row, entry, way, argv);
        Flow::Taken
    }

    /// Runs a command while there are monitors.
    #[cold]
    fn start_shown(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        way: Route,
        argv: Argv<'_>,
    ) -> Flow {
        let entry = self.table.entry(row);
        let about_keys = [Flags::WRITE, Flags::READONLY, Flags::MAY_REPLICATE];
        if self.clients.at(conn.index).monitor && about_keys.iter().any(|flag| entry.row.flags.has(*flag)) {
            // Redis: a monitor counts as a replica.
            return self.reject(
                conn,
                row,
                &CommandError::Line("ERR Replica can't interact with the keyspace"),
            );
        }
        // Redis: what administrators do is not shown.
        let shown = super::output::is_shown(entry);
        // A command about the connection is shown with what it made of it. EXEC shows itself, after its commands.
        let after = matches!(way, Route::Bound | Route::Local);
        let db = self.clients.at(conn.index).db;
        if shown && !after {
            self.feed_monitors(conn, db, entry.full_name, argv);
        }
        self.run(io, conn, row, entry, way, argv);
        if shown
            && after
            && entry.full_name != "exec"
            && let Some(client) = self.clients.get(conn)
        {
            let db = client.db;
            self.feed_monitors(conn, db, entry.full_name, argv);
        }
        Flow::Taken
    }

    /// Stalls a client; its request will be parsed again.
    fn stall(&mut self, conn: ConnId, why: Stall) -> Flow {
        self.clients.at(conn.index).stall = why;
        match why {
            Stall::Paused => self.paused.push(conn),
            Stall::Credit => self.short_of_credit.push(conn),
            _ => {}
        }
        Flow::Later
    }

    /// Answers an error to a command that does not run.
    pub(super) fn reject(&mut self, conn: ConnId, row: RowId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).begin_command();
        self.reject_begun(conn, row, error)
    }

    pub(super) fn reject_begun(&mut self, conn: ConnId, row: RowId, error: &CommandError) -> Flow {
        self.stats[row.index()].rejected += 1;
        if self.table.entry(row).full_name == "exec" {
            return self.refuse_exec(conn, error);
        }
        self.refuse_begun(conn, error)
    }

    /// Redis: EXEC that is refused ends its block, and says so even when there is none.
    #[cold]
    fn refuse_exec(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).multi = None;
        self.unwatch_all(conn);
        self.refuse_begun(conn, &super::multi::because_of(error))
    }

    fn refuse(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).begin_command();
        self.refuse_begun(conn, error)
    }

    fn refuse_begun(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.observe.count_error(error);
        let client = self.clients.at(conn.index);
        if let Some(multi) = &mut client.multi {
            multi.failed = true;
        }
        let protocol = client.protocol;
        write_error(error, &mut Reply::new(client.output(), protocol));
        Flow::Taken
    }

    #[cold]
    fn refuse_unknown(&mut self, conn: ConnId, argv: Argv<'_>) -> Flow {
        if argv.get(0).eq_ignore_ascii_case(b"post") || argv.get(0).eq_ignore_ascii_case(b"host:") {
            // A browser was made to speak HTTP to this port; nothing that it sends is meant as a command.
            let client = self.clients.at(conn.index);
            client.mute = true;
            client.close_after_reply = true;
            return Flow::Taken;
        }
        const MOST: usize = 128;
        let mut args = Vec::new();
        for arg in argv.iter().skip(1) {
            if args.len() >= MOST {
                break;
            }
            args.extend_from_slice(&[b"'", quoted(arg, MOST - args.len()), b"' "].concat());
        }
        let name = quoted(argv.get(0), MOST);
        let line: [&[u8]; 4] = [b"ERR unknown command '", name, b"', with args beginning with: ", &args];
        self.refuse(conn, &CommandError::text(line.concat()))
    }

    #[cold]
    fn refuse_subcommand(&mut self, conn: ConnId, container: RowId, argv: Argv<'_>) -> Flow {
        let name = self.table.entry(container).row.name.to_uppercase();
        let after = format!("'. Try {name} HELP.");
        self.refuse(conn, &CommandError::quoting("ERR unknown subcommand '", argv.get(1), &after))
    }
}
