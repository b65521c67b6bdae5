//! Projections with two generations, on real servers and on every bus: rebuilt beside the live one, equal or told why not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod content;
mod differences;
mod random;
mod routes;
mod turns;

macro_rules! on_every_bus {
    ($adapter:ident) => {
        mod $adapter {
            on_every_bus! { @cases $adapter
                beside::a_new_projection_is_built_from_the_histories_and_switched
                beside::a_rebuild_beside_running_members_ends_equal
                beside::a_rebuild_goes_on_where_a_killed_member_left_it
                beside::a_rebuild_waits_for_a_paused_group
                beside::a_bus_that_lacks_events_has_the_other_generation_built
                beside::what_another_bus_left_half_built_is_finished
                beside::what_is_claimed_while_building_stays
                beside::what_is_wanted_at_the_end_of_building_for_the_bus_is_done
                differences::a_spoilt_projection_is_told_and_replaced
                differences::an_event_that_was_put_aside_is_applied_by_a_rebuild
                differences::a_kill_after_letters_were_settled_is_gone_on_from
                differences::a_letter_replayed_during_a_rebuild_counts_once_in_both
                differences::old_events_are_compared_by_what_they_left
                differences::what_the_live_one_lost_is_told_and_not_waited_for
                turns::filling_and_living_effects_take_turns
                turns::nobody_switches_under_an_effect
                turns::nobody_switches_under_the_removal_of_old_claims
                turns::emptying_holds_up_no_queries
                beside::a_group_without_histories_builds_nothing
                differences::what_was_written_down_nobody_knows_when_is_as_old_as_it_says
                beside::a_pause_outlives_what_the_bus_keeps
                turns::who_was_relieved_writes_nothing
                random::whatever_happens_every_event_counts_once
            }
        }
    };
    (@cases $adapter:ident $($module:ident::$case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(place) = crate::support::place::$adapter().await else { return };
                crate::$module::$case(place).await;
            }
        )*
    };
}

on_every_bus!(postgres);
on_every_bus!(redis);

#[tokio::test]
async fn digests_are_the_same_from_every_store() {
    content::check().await;
}
