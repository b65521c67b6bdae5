//! How a visitor's cart moves into a customer's, when the two may lie on different servers of a cluster, where no script and
//! no transaction reaches both.
//!
//! It is a two-phase commit whose decision is a **receipt**: a key beside the customer's cart, named after the merge.
//!
//! 1. *Freeze*, at the visitor's cart: marks it with the merge's id and the customer. Nothing is taken away yet.
//! 2. *Apply*, at the customer's cart: adds the lines and writes the receipt, in one script. **This is the moment at which
//!    the merge happens.** Readers of a frozen visitor's cart look for the receipt: without one they see the cart as it was,
//!    with one it is gone.
//! 3. *Finish*: removes the visitor's cart.
//!
//! After a crash anywhere, the next one who comes by goes on: a merge of the same cart applies what is frozen (for the
//! customer it was frozen for) and finishes; a receipt that is there already keeps it from being applied twice. A visitor who
//! writes to a frozen cart does not wait: the write *cancels* the merge by writing the receipt first, thaws the cart and goes
//! on; or it finds that the merge was applied, and begins a new cart. Whichever receipt is first, stands. So at every moment
//! each line is in exactly one of the two carts, for every reader.
//!
//! What to write is computed here, by [`merge_lines`], the rule that all adapters share, and written only if the customer's
//! cart is still the one it was computed from. Each failure of that condition means that somebody else's write went through,
//! and gives the changed cart to compute from. The rule in Lua would save that repetition; it would also be a second copy of
//! the one rule here that is worth arguing about, in another language, for a cart that one person writes to.

use std::time::Duration;

use ::redis::cmd;
use emporium_service_kit::StoreError;
use emporium_service_kit::redis::Invocation;
use time::OffsetDateTime;
use uuid::Uuid;

use super::record::{MergeMark, Record, Reply, line_text, micros, millis_up};
use super::{RedisCarts, TRIES_MAX, scripts, within};
use crate::model::{CartKey, CartKind, DroppedLine, Lines, StoredCart, merge_lines};
use crate::store::{Merged, Moment};

/// What a receipt says of a merge that will never be applied; of others it names the attempt that applied them.
const CANCELLED: &str = "cancelled";
/// For so long a receipt outlives the frozen cart that it is about: the servers' clocks and ours differ by less.
const RECEIPT_SLACK: time::Duration = time::Duration::days(1);
/// Removing a merged cart is tidying up: what has happened is not held back for it.
const FINISH_TIMEOUT: Duration = Duration::from_millis(200);
/// Longest pause before a merge that a write has cancelled begins again, so that the write gets through.
const PAUSE_MAX_MS: u16 = 5;

/// A merge of which is known how it ended; by default none.
#[derive(Debug, Clone, Default)]
pub(super) struct Settled {
    pub(super) merge_id: String,
    pub(super) applied: bool,
}

impl Settled {
    fn of(merge: &MergeMark, applied: bool) -> Self {
        let merge_id = merge.id.clone();
        Self { merge_id, applied }
    }

    /// For `begin.lua`.
    pub(super) fn verdict(&self) -> &'static str {
        if self.applied { "applied" } else { CANCELLED }
    }
}

/// A visitor's cart that stands still.
#[derive(Debug, Clone)]
pub(super) struct Frozen {
    pub(super) merge: MergeMark,
    lines: Lines,
    expires_at: OffsetDateTime,
}

/// What became of applying.
#[derive(Debug)]
pub(super) enum Applied {
    /// It is applied: the customer's cart, and what did not fit, told only to the attempt that left it out.
    Yes(Option<StoredCart>, Vec<DroppedLine>),
    /// A write to the visitor's cart was faster.
    Cancelled,
}

impl RedisCarts {
    /// The whole merge; see the module.
    pub(super) async fn merge_carts(
        &self,
        user_id: Uuid,
        anonymous_id: Uuid,
        at: Moment,
    ) -> Result<Merged, StoreError> {
        let (merged, own) = within(self.until_merged(user_id, anonymous_id, at)).await?;
        if let Some(merge) = own {
            self.finish_soon(anonymous_id, &merge.id).await;
        }
        Ok(merged)
    }

    /// The steps that decide, until nothing is left to merge or a merge of our own has happened, which is given too.
    async fn until_merged(
        &self,
        user_id: Uuid,
        anonymous_id: Uuid,
        at: Moment,
    ) -> Result<(Merged, Option<MergeMark>), StoreError> {
        let attempt = Uuid::new_v4().to_string();
        let (mut settled, mut dropped) = (Settled::default(), Vec::new());
        for _ in 0..TRIES_MAX {
            let Some(frozen) = self.freeze(user_id, anonymous_id, &attempt, at, &settled).await? else {
                let cart = self.find_user(user_id, at.now).await?;
                return Ok((Merged { cart, dropped }, None));
            };
            let Applied::Yes(cart, left_out) = self.apply(&frozen, &attempt, at).await? else {
                settled = Settled::of(&frozen.merge, false);
                pause().await;
                continue;
            };
            if frozen.merge.user_id == user_id {
                dropped.extend(left_out);
            } else {
                warn_of_left_out(&left_out);
            }
            if frozen.merge.id.starts_with(&attempt) {
                return Ok((Merged { cart, dropped }, Some(frozen.merge)));
            }
            // It was begun by somebody before us, and the visitor may have written since. Freezing again tidies it up.
            settled = Settled::of(&frozen.merge, true);
        }
        Err(StoreError::Conflict(
            "others write to the cart without pause".into(),
        ))
    }

    /// First step. `None`: there is nothing to merge.
    pub(super) async fn freeze(
        &self,
        user_id: Uuid,
        anonymous_id: Uuid,
        attempt: &str,
        at: Moment,
        settled: &Settled,
    ) -> Result<Option<Frozen>, StoreError> {
        let call = self.freeze_call(user_id, anonymous_id, attempt, at, settled);
        let reply: Reply = self.redis.run(&call).await?;
        let frozen = reply.live(at.now).and_then(|record| {
            Some(Frozen {
                merge: record.merge?,
                lines: record.cart.lines,
                expires_at: record.cart.expires_at,
            })
        });
        Ok(frozen)
    }

    pub(super) fn freeze_call(
        &self,
        user_id: Uuid,
        anonymous_id: Uuid,
        attempt: &str,
        at: Moment,
        settled: &Settled,
    ) -> Invocation<'static> {
        self.writing(&scripts::FREEZE, visitor(anonymous_id), at, settled)
            .arg(attempt)
            .arg(user_id.to_string())
    }

    /// Second step, which decides.
    pub(super) async fn apply(
        &self,
        frozen: &Frozen,
        attempt: &str,
        at: Moment,
    ) -> Result<Applied, StoreError> {
        let mut own = self.find_user(frozen.merge.user_id, at.now).await?;
        for _ in 0..TRIES_MAX {
            let (call, dropped) = self.apply_call(frozen, attempt, at, own.as_ref());
            let (receipt, reply): (String, Reply) = self.redis.run(&call).await?;
            let cart = reply.live(at.now).map(|record| record.cart);
            match receipt.as_str() {
                "" => own = cart,
                CANCELLED => return Ok(Applied::Cancelled),
                mine if mine == attempt => return Ok(Applied::Yes(cart, dropped)),
                _ => return Ok(Applied::Yes(cart, Vec::new())),
            }
        }
        Err(StoreError::Conflict(
            "others write to the customer's cart without pause".into(),
        ))
    }

    /// Applying to `own`, and what that leaves out.
    pub(super) fn apply_call(
        &self,
        frozen: &Frozen,
        attempt: &str,
        at: Moment,
        own: Option<&StoredCart>,
    ) -> (Invocation<'static>, Vec<DroppedLine>) {
        let before = own.map(|cart| cart.lines.clone()).unwrap_or_default();
        let mut after = before.clone();
        let dropped = merge_lines(&mut after, frozen.lines.clone());
        let changed = after
            .iter()
            .filter(|(product, line)| before.get(*product) != Some(*line))
            .flat_map(|(product, line)| [product.to_string(), line_text(line)]);
        let user_id = frozen.merge.user_id;
        let call = self
            .writing(&scripts::APPLY, CartKey::user(user_id), at, &Settled::default())
            .key(self.keys.receipt(user_id, &frozen.merge.id))
            .arg(attempt)
            .arg(receipt_end(frozen.expires_at, at.now))
            .arg(own.map_or(0, |cart| cart.revision))
            .arg(own.map_or_else(String::new, |cart| micros(cart.updated_at).to_string()))
            .arg(changed.collect::<Vec<_>>());
        (call, dropped)
    }

    /// Last step. The merge has happened; whoever comes next tidies up if this fails.
    async fn finish_soon(&self, anonymous_id: Uuid, merge_id: &str) {
        let finished = tokio::time::timeout(FINISH_TIMEOUT, self.finish(anonymous_id, merge_id)).await;
        if !matches!(finished, Ok(Ok(()))) {
            tracing::warn!("a merged cart is not removed yet; readers see it as gone already");
        }
    }

    pub(super) async fn finish(&self, anonymous_id: Uuid, merge_id: &str) -> Result<(), StoreError> {
        let call = Invocation::of(&scripts::FINISH)
            .key(self.keys.cart(visitor(anonymous_id)))
            .arg(merge_id);
        self.redis.run(&call).await
    }

    /// Ends a merge that stands in a write's way: cancels it, unless it was applied. `expires_at` is the frozen cart's.
    pub(super) async fn settle(
        &self,
        merge: &MergeMark,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<Settled, StoreError> {
        let mut set = cmd("SET");
        set.arg(self.keys.receipt(merge.user_id, &merge.id))
            .arg(CANCELLED);
        set.arg("NX")
            .arg("GET")
            .arg("PXAT")
            .arg(receipt_end(expires_at, now));
        let receipt: Option<String> = self.redis.command("SET", &set).await?;
        Ok(Settled::of(
            merge,
            receipt.is_some_and(|receipt| receipt != CANCELLED),
        ))
    }

    /// Whether a merge has happened.
    pub(super) async fn is_applied(&self, merge: &MergeMark) -> Result<bool, StoreError> {
        let mut get = cmd("GET");
        get.arg(self.keys.receipt(merge.user_id, &merge.id));
        let receipt: Option<String> = self.redis.command("GET", &get).await?;
        Ok(receipt.is_some_and(|receipt| receipt != CANCELLED))
    }

    /// A customer's cart, which no merge freezes.
    async fn find_user(&self, user_id: Uuid, now: OffsetDateTime) -> Result<Option<StoredCart>, StoreError> {
        let record: Option<Record> = self.read(CartKey::user(user_id), now).await?;
        Ok(record.map(|record| record.cart))
    }
}

fn visitor(id: Uuid) -> CartKey {
    let kind = CartKind::Anonymous;
    CartKey { kind, id }
}

/// Until when a receipt has to be there, in milliseconds: longer than the frozen cart, and longer than any call under way.
fn receipt_end(frozen_until: OffsetDateTime, now: OffsetDateTime) -> i64 {
    millis_up(frozen_until.max(now) + RECEIPT_SLACK)
}

/// Somebody else's merge that had stopped half-way: its caller is not there to be told.
fn warn_of_left_out(left_out: &[DroppedLine]) {
    if !left_out.is_empty() {
        let lines = left_out.len();
        tracing::warn!(lines, "a merge that was taken up again left out what did not fit");
    }
}

/// A random pause, so that a write and a merge that got into each other's way do not meet again.
async fn pause() {
    let random = Uuid::new_v4().as_fields().1 % (PAUSE_MAX_MS * 10);
    tokio::time::sleep(Duration::from_micros(u64::from(random) * 100)).await;
}
