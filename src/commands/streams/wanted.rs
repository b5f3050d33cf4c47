//! What XREAD and XREADGROUP ask for: the request, read, and as it waits.

use super::ids::strict_id;
use super::limits::Limits;
use crate::commands::block::{Block, LossFn, WaitFor, WhenOver, timeout_of_ms};
use crate::commands::collection::view_of;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply, Request};
use crate::types::Kind;
use crate::types::stream::{Stream, StreamId};

/// A request, its options read.
pub(super) struct Wanted<'a> {
    argv: Argv<'a>,
    /// Where the keys begin.
    keys_at: usize,
    pub(super) streams: usize,
    /// Entries per stream.
    pub(super) count: usize,
    /// Limits of the reply over all streams.
    pub(super) limits: Limits,
    block_ms: Option<u64>,
    pub(super) group: Option<Reader<'a>>,
}

/// Who reads a group, and how.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) group: &'a [u8],
    pub(super) consumer: &'a [u8],
    pub(super) no_ack: bool,
    /// Pending entries that waited so long are read before new ones.
    pub(super) claim_idle_ms: Option<u64>,
}

/// Where reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum From {
    After(StreamId),
    /// `$`: nothing that is there now.
    Latest,
    /// `+`: the last entry.
    Last,
    /// `>`: what the group was not given yet.
    New,
}

impl<'a> Wanted<'a> {
    pub(super) fn take(argv: Argv<'a>, is_group: bool) -> Result<Wanted<'a>, CommandError> {
        let mut args = Args::new(argv, 1);
        let mut wanted = Wanted {
            argv,
            keys_at: 0,
            streams: 0,
            count: usize::MAX,
            limits: Limits::default(),
            block_ms: None,
            group: None,
        };
        let (mut no_ack, mut claim_idle_ms, mut group) = (false, None, None);
        while !args.is_done() {
            let more = args.left() - 1;
            if more > 0 && args.token("BLOCK") {
                wanted.block_ms = Some(timeout_of_ms(args.take()?)?);
            } else if more > 0 && args.token("COUNT") {
                // Redis: no count, and one that is not positive, is no limit.
                wanted.count = match args.int()? {
                    ..=0 => usize::MAX,
                    count => count as usize,
                };
            } else if more > 0 && args.token("MAXCOUNT") {
                wanted.limits.count = Some(positive(&mut args, MAXCOUNT_NOT_POSITIVE)?);
            } else if more > 0 && args.token("MAXSIZE") {
                wanted.limits.bytes = Some(positive(&mut args, MAXSIZE_NOT_POSITIVE)?);
            } else if more > 0 && args.token("STREAMS") {
                if !args.left().is_multiple_of(2) {
                    return Err(CommandError::Line(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                wanted.keys_at = argv.len() - args.left();
                wanted.streams = args.left() / 2;
                break;
            } else if more >= 2 && args.token("GROUP") {
                if !is_group {
                    return Err(CommandError::Line(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                group = Some((args.take()?, args.take()?));
            } else if args.token("NOACK") {
                if !is_group {
                    return Err(CommandError::Line(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                no_ack = true;
            } else if more > 0 && is_group && args.token("CLAIM") {
                let idle_ms = args.int().map_err(|_| CLAIM_NOT_INTEGER)?;
                claim_idle_ms = Some(u64::try_from(idle_ms).map_err(|_| CLAIM_NEGATIVE)?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if wanted.streams == 0 {
            return Err(CommandError::Syntax);
        }
        if is_group {
            let (group, consumer) =
                group.ok_or(CommandError::Line("ERR Missing GROUP option for XREADGROUP"))?;
            wanted.group = Some(Reader { group, consumer, no_ack, claim_idle_ms });
        }
        if wanted.count != usize::MAX && wanted.limits.count.is_some_and(|most| most < wanted.count) {
            return Err(CommandError::Line("ERR MAXCOUNT must be greater than or equal to COUNT"));
        }
        Ok(wanted)
    }

    pub(super) fn key(&self, order: usize) -> &'a [u8] {
        self.argv.get(self.keys_at + order)
    }

    pub(super) fn from(&self, order: usize) -> Result<From, CommandError> {
        match (self.argv.get(self.keys_at + self.streams + order), self.group.is_some()) {
            (b"$", true) => Err(CommandError::Line(
                "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                 consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                 an empty result set.",
            )),
            (b"$", false) => Ok(From::Latest),
            (b">", true) => Ok(From::New),
            (b">", false) => Err(CommandError::Line(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            )),
            (b"+", false) => Ok(From::Last),
            (text, is_group) => match strict_id(text, 0)? {
                StreamId::MAX if is_group => Ok(From::New),
                id => Ok(From::After(id)),
            },
        }
    }

    /// What is answered, or waited for, when no stream has anything. `latest` holds the last id of every stream.
    pub(super) fn nothing(&self, latest: &[StreamId], reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.block_ms else {
            reply.null_array();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::Every,
            kind: Kind::Stream,
            on_loss: self.group.is_some().then_some(told_of_loss as LossFn),
            timeout_ms,
            when_over: WhenOver::NullArray,
            request: self.resolved(latest),
            narrow: Some(narrow),
        }))
    }

    /// The request with `$` and `+` replaced by what they mean now.
    fn resolved(&self, latest: &[StreamId]) -> Option<Request> {
        let ids_at = self.keys_at + self.streams;
        let is_open = |at: usize| at >= ids_at && matches!(self.argv.get(at), b"$" | b"+");
        if self.group.is_some() || !(ids_at..self.argv.len()).any(is_open) {
            return None;
        }
        let texts: Vec<_> = latest.iter().map(|id| id.text()).collect();
        let word = |at: usize| if is_open(at) { texts[at - ids_at].as_bytes() } else { self.argv.get(at) };
        Some((0..self.argv.len()).map(word).collect())
    }
}

/// The request for one of its streams.
fn narrow(argv: Argv<'_>, order: usize) -> Request {
    let is_group = argv.get(0).len() > b"xread".len();
    match Wanted::take(argv, is_group) {
        Ok(wanted) => {
            let own = [wanted.keys_at + order, wanted.keys_at + wanted.streams + order];
            (0..wanted.keys_at).chain(own).map(|at| argv.get(at)).collect()
        }
        Err(_) => unreachable!("a request that waits was read before"),
    }
}

/// Redis: somebody who waits for a group is told of its end, or of its stream's.
fn told_of_loss(ctx: &mut Ctx<'_>, argv: Argv<'_>, order: usize) -> Option<CommandError> {
    let wanted = Wanted::take(argv, true).ok()?;
    let mut keys = ctx.keys();
    let stream = keys.peek(wanted.key(order)).and_then(|entry| view_of::<Stream>(entry.value()).ok());
    let Some(stream) = stream else {
        return Some(CommandError::Line("UNBLOCKED the stream key no longer exists"));
    };
    let group = wanted.group.as_ref().and_then(|reader| stream.group(reader.group));
    group.is_none().then_some(CommandError::Line(
        "NOGROUP the consumer group this client was blocked on no longer exists",
    ))
}

const CLAIM_NOT_INTEGER: CommandError = CommandError::Line("ERR min-idle-time is not an integer");
const MAXCOUNT_NOT_POSITIVE: CommandError = CommandError::Line("ERR MAXCOUNT must be a positive integer");
const MAXSIZE_NOT_POSITIVE: CommandError = CommandError::Line("ERR MAXSIZE must be a positive integer");
const CLAIM_NEGATIVE: CommandError = CommandError::Line("ERR min-idle-time must be a positive integer");

fn positive(args: &mut Args<'_>, refusal: CommandError) -> Result<usize, CommandError> {
    usize::try_from(args.int()?).ok().filter(|number| *number > 0).ok_or(refusal)
}
