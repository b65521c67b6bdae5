//! The suite that every bus adapter passes, on real servers. A new adapter is one more line at the end; what it declares to
//! lack (`Bus::lacks`) is tested as the declared difference.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod appending;
mod consuming;
mod letters;
mod members;
mod model;
mod rebuild;
mod servers;
mod settings;
mod standing;
mod switching;
mod taking;
mod trimming;

macro_rules! contract {
    ($adapter:ident) => {
        mod $adapter {
            contract! { @cases $adapter
                appending::what_is_there_already_is_left_out
                appending::appending_all_at_once_keeps_everybodys_order
                appending::a_single_member_reads_in_the_order_of_positions_while_others_append
                appending::a_bus_knows_whether_it_has_what_a_publisher_marked
                appending::two_relays_publish_every_event_once_and_in_order
                appending::who_waits_is_woken_by_an_append
                consuming::redelivered_events_count_once
                consuming::one_bad_event_becomes_a_dead_letter_and_can_be_replayed
                consuming::a_batch_of_large_events_is_short_and_loses_none
                consuming::events_that_are_there_already_are_left_out_of_a_long_append_as_well
                consuming::what_a_group_does_not_want_is_passed
                letters::letters_are_kept_in_order_and_by_group
                letters::letters_go_some_time_after_their_replay_and_not_before
                members::a_killed_member_holds_the_group_for_its_lease_only
                members::a_batch_that_takes_longer_than_the_lease_keeps_it
                members::a_member_that_fails_or_is_stopped_gives_the_group_back
                members::setting_a_group_back_wins_against_a_running_member
                members::of_members_that_join_at_once_one_builds_and_none_moves_the_group_back
                members::two_groups_of_one_service_have_metrics_of_their_own
                model::random_sequences_do_what_the_model_does
                rebuild::a_group_that_was_built_from_fewer_histories_is_built_again
                rebuild::a_rebuild_makes_a_spoilt_projection_right
                rebuild::a_rebuild_that_died_half_way_is_begun_again
                rebuild::rebuilds_beside_running_members_count_every_event_once
                rebuild::building_waits_for_effects_that_are_being_applied
                rebuild::reading_a_history_ends_when_told_to_stop
                rebuild::what_cannot_be_rebuilt_says_so
                standing::nothing_is_delivered_while_a_group_is_paused
                standing::a_resumed_group_goes_on_at_once
                standing::a_paused_group_is_rebuilt_when_it_is_resumed
                standing::lag_is_told_in_events_and_in_time
                standing::a_member_that_fails_says_so
                switching::moving_to_another_bus_and_back_loses_nothing_and_counts_once
                switching::a_relay_that_comes_late_has_the_groups_rebuilt
                switching::a_report_counts_what_is_under_way
                taking::a_member_gets_what_it_did_not_acknowledge_again
                taking::a_member_that_was_relieved_can_acknowledge_nothing
                taking::members_share_or_queue_as_the_adapter_says
                taking::what_was_left_behind_comes_as_the_adapter_says
                taking::members_that_die_again_and_again_lose_nothing
                taking::a_group_that_is_rebuilt_gives_nobody_anything
                trimming::trimming_stays_behind_the_slowest_group
                trimming::what_was_taken_and_not_acknowledged_is_not_trimmed
                trimming::a_long_backlog_is_trimmed_in_steps
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

contract!(postgres);
contract!(redis);
contract!(redis_cluster);
