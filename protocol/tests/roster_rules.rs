//! The rules of membership, each by the story that made it necessary.

mod cast;

use cast::*;
use fourword_protocol::ids::{EnvelopeHash, LogHead};
use fourword_protocol::roster::{Body, Reason, Role};

#[test]
fn of_two_admins_who_remove_each_other_the_senior_stands() {
    let start = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin)]);
    let (mut by_ben, mut by_cem) = (start.clone(), start);
    by_ben.says("ben", remove("cem"));
    let of_no_use = by_cem.says("cem", remove("ben"));
    for joined in [Replica::join(&[&by_ben, &by_cem]), Replica::join(&[&by_cem, &by_ben])] {
        assert!(joined.has("ben") && !joined.has("cem"));
        assert_eq!(joined.roster.reading().ignored.get(&of_no_use), Some(&Reason::AuthorEnded));
    }
}

#[test]
fn an_admin_cannot_remove_or_demote_who_is_senior_to_it() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin)]);
    group.says("cem", remove("ben"));
    group.says("cem", remove("ada"));
    group.says("cem", set_role("ben", Role::Viewer));
    assert_eq!(group.role("ada"), Some(Role::Owner));
    assert_eq!(group.role("ben"), Some(Role::Admin));
}

#[test]
fn what_a_removed_admin_adds_behind_the_removal_is_void_even_if_a_friend_vouches() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("fay", Role::Member)]);
    let mut behind = group.clone();
    let removal = group.says("ada", remove("ben"));
    let added = behind.says("ben", add("eve", Role::Admin));
    group.hears(&behind);
    group.says("fay", Body::Held { removal, vectors: vectors("ben", 1_000) });
    assert!(!group.has("eve") && !group.has("ben"));
    assert!(!group.counts(added));
}

#[test]
fn two_who_were_removed_cannot_vouch_for_each_other() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin)]);
    let mut behind = group.clone();
    let removals = [group.says("ada", remove("ben")), group.says("ada", remove("cem"))];
    behind.says("ben", add("cem", Role::Admin));
    behind.says("cem", add("ben", Role::Admin));
    group.hears(&behind);
    assert!(!group.has("ben") && !group.has("cem"));
    for removal in removals {
        assert!(group.counts(removal));
    }
}

#[test]
fn an_invite_kept_by_a_removed_admin_admits_nobody() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Member)]);
    let invite = group.opens_invite("ben", 1, Role::Member);
    let mut unaware = group.clone();
    group.says("ada", remove("ben"));
    unaware.admits("cem", 1, invite, "eve");
    assert!(unaware.has("eve"), "who does not know of the removal still sees the guest");
    group.hears(&unaware);
    assert!(!group.has("eve"));
    group.admits("cem", 1, invite, "fay");
    assert!(!group.has("fay"), "not even if who admits knows of the removal");
}

#[test]
fn who_came_by_an_invite_before_it_was_closed_stays() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Member)]);
    let invite = group.opens_invite("ben", 1, Role::Member);
    group.admits("cem", 1, invite, "eve");
    group.says("ben", Body::CloseInvite { invite });
    assert!(group.has("eve"));
    group.admits("cem", 1, invite, "fay");
    assert!(!group.has("fay"));
    let known = group.roster.invite(&code(group.roster.entity(), 1).key()).unwrap();
    assert_eq!((known.used, known.open, known.uses), (1, false, 10));
}

#[test]
fn a_viewer_admits_nobody() {
    let mut group = Replica::of("ada", &[("vic", Role::Viewer)]);
    let invite = group.opens_invite("ada", 1, Role::Member);
    group.admits("vic", 1, invite, "eve");
    assert!(!group.has("eve"));
}

#[test]
fn a_stolen_laptop_cannot_revoke_the_phone_that_certified_it() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ben", certify("ben/laptop"));
    let (mut thief, mut owner) = (group.clone(), group);
    thief.says("ben/laptop", revoke("ben"));
    owner.says("ben", revoke("ben/laptop"));
    let joined = Replica::join(&[&thief, &owner]);
    assert_eq!(joined.roster.reading().members[&person("ben")].devices, [key("ben")]);
    assert_eq!(joined.roster.reading().member_of(&key("ben/laptop")), None);
}

#[test]
fn the_root_key_outranks_every_device() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let mut thief = group.clone();
    thief.says("ben", certify("ben/theirs"));
    group.root_says("ben", revoke("ben"));
    group.root_says("ben", certify("ben/new"));
    group.hears(&thief);
    assert_eq!(group.roster.reading().members[&person("ben")].devices, [key("ben/new")]);
}

#[test]
fn a_device_certified_again_knowing_of_the_revocation_is_a_device_again() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ben", certify("ben/laptop"));
    group.says("ben", revoke("ben/laptop"));
    assert_eq!(group.roster.reading().member_of(&key("ben/laptop")), None);
    group.says("ben", certify("ben/laptop"));
    assert!(group.roster.reading().member_of(&key("ben/laptop")).is_some());
}

#[test]
fn of_role_changes_made_apart_the_lowest_holds() {
    let group = Replica::of("ada", &[("ben", Role::Owner), ("cem", Role::Member)]);
    let (mut up, mut down) = (group.clone(), group);
    up.says("ada", set_role("cem", Role::Admin));
    down.says("ben", set_role("cem", Role::Viewer));
    let mut joined = Replica::join(&[&up, &down]);
    assert_eq!(joined.role("cem"), Some(Role::Viewer));
    joined.says("ada", set_role("cem", Role::Admin));
    assert_eq!(joined.role("cem"), Some(Role::Admin), "a change that knows both replaces both");
}

#[test]
fn what_an_admin_does_apart_from_its_demotion_does_not_count() {
    let group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Member)]);
    let (mut demoting, mut acting) = (group.clone(), group);
    demoting.says("ada", set_role("ben", Role::Member));
    let removal = acting.says("ben", remove("cem"));
    let joined = Replica::join(&[&demoting, &acting]);
    assert!(joined.has("cem"));
    assert_eq!(joined.roster.reading().ignored.get(&removal), Some(&Reason::NoRight));
}

#[test]
fn adding_apart_from_a_removal_loses_and_adding_after_it_wins() {
    let group = Replica::of("ada", &[("ben", Role::Owner), ("cem", Role::Member)]);
    let (mut removing, mut adding) = (group.clone(), group);
    removing.says("ada", remove("cem"));
    adding.says("ben", add("cem", Role::Admin));
    let mut joined = Replica::join(&[&removing, &adding]);
    assert!(!joined.has("cem"), "the removal ends every membership that does not know of it");
    joined.says("ben", add("cem", Role::Member));
    assert_eq!(joined.role("cem"), Some(Role::Member));
}

#[test]
fn a_role_that_one_grants_oneself_is_void() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("vic", Role::Viewer)]);
    group.says("ben", set_role("ben", Role::Owner));
    group.says("vic", set_role("vic", Role::Member));
    group.says("ben", add("ben", Role::Owner));
    group.says("ben", add("eve", Role::Owner));
    assert_eq!(group.role("ben"), Some(Role::Admin));
    assert_eq!(group.role("vic"), Some(Role::Viewer));
    assert!(!group.has("eve"));
}

#[test]
fn a_member_lowers_itself_and_cannot_rise_again_alone() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin)]);
    group.says("ben", set_role("ben", Role::Member));
    group.says("ben", set_role("ben", Role::Admin));
    assert_eq!(group.role("ben"), Some(Role::Member));
}

#[test]
fn nobody_writes_under_an_epoch_that_a_removed_member_opened_meanwhile() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("eve", Role::Member)]);
    let first = group.says("ada", epoch(1, &["ada", "ben", "eve"]));
    assert_eq!(group.roster.reading().epoch, Some(first));
    let mut behind = group.clone();
    group.says("ada", remove("eve"));
    behind.says("eve", epoch(2, &["ada", "ben", "eve"]));
    group.hears(&behind);
    assert_eq!(group.roster.reading().epoch, None);
    let next = group.says("ben", epoch(group.roster.next_counter(), &["ada", "ben"]));
    assert_eq!(group.roster.reading().epoch, Some(next));
}

#[test]
fn an_epoch_sealed_to_an_outsider_is_not_written_under() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let first = group.says("ada", epoch(1, &["ada", "ben"]));
    group.says("ben", Body::SealKey { epoch: first, seals: seals(&["eve"]) });
    assert_eq!(group.roster.reading().epoch, None);
}

#[test]
fn a_seal_opens_whether_or_not_it_counts() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let first = group.says("ada", epoch(1, &["ada", "ben"]));
    let mut behind = group.clone();
    let seal = behind.says("ben", Body::SealKey { epoch: first, seals: seals(&["eve"]) });
    group.says("ada", remove("ben"));
    group.hears(&behind);
    assert!(!group.counts(seal) && group.roster.knowers(&first).contains(&key("eve")));
}

#[test]
fn an_epoch_opened_without_knowing_of_a_removal_is_not_written_under_though_only_members_have_it() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin)]);
    let mut apart = group.clone();
    apart.says("ben", add("eve", Role::Member));
    let first = group.says("ada", epoch(1, &["ada", "ben"]));
    let mut late = Replica::join(&[&group, &apart]);
    group.hears(&apart);
    assert_eq!(group.roster.reading().epoch, Some(first));
    group.says("ada", remove("eve"));
    assert_eq!(group.roster.reading().epoch, None, "who has not heard of the removal may seal it to eve");
    late.says("ben", Body::SealKey { epoch: first, seals: seals(&["eve"]) });
    let next = group.says("ada", epoch(2, &["ada", "ben"]));
    group.hears(&late);
    assert_eq!(group.roster.reading().epoch, Some(next), "and nobody can seal this one by mistake");
}

#[test]
fn an_epoch_opened_without_knowing_that_an_invite_was_closed_is_not_written_under() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    let invite = group.opens_invite("ada", 1, Role::Member);
    let (mut admitting, mut opening) = (group.clone(), group.clone());
    admitting.admits("ben", 1, invite, "eve");
    let first = opening.says("cem", epoch(1, &["ada", "ben", "cem"]));
    group.hears(&opening);
    assert_eq!(group.roster.reading().epoch, Some(first));
    group.says("ada", Body::CloseInvite { invite });
    assert_eq!(group.roster.reading().epoch, Some(first), "as far as is known nobody came by it");
    group.hears(&admitting);
    assert!(!group.has("eve"));
    assert_eq!(group.roster.reading().epoch, None, "ben may not know that eve is not in");
}

#[test]
fn an_epoch_opened_without_knowing_of_a_demotion_is_not_written_under_if_somebody_came_in_by_it() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin)]);
    let (mut adding, mut opening) = (group.clone(), group.clone());
    let added = adding.says("ben", add("eve", Role::Member));
    let first = opening.says("ada", epoch(1, &["ada", "ben"]));
    group.hears(&opening);
    group.says("ada", set_role("ben", Role::Member));
    assert_eq!(group.roster.reading().epoch, Some(first));
    group.hears(&adding);
    assert!(!group.counts(added));
    assert_eq!(group.roster.reading().epoch, None);
}

#[test]
fn a_seal_by_somebody_without_the_key_tells_nobody_anything() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let first = group.says("ada", epoch(1, &["ada"]));
    group.says("ben", Body::SealKey { epoch: first, seals: seals(&["eve"]) });
    assert_eq!(group.roster.reading().epoch, Some(first));
    group.says("ada", Body::SealKey { epoch: first, seals: seals(&["ben"]) });
    assert_eq!(group.roster.reading().epoch, None, "now that ben has the key, so has eve");
}

#[test]
fn a_counter_out_of_reach_does_not_take_the_epochs_hostage() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let wild = group.says("ben", epoch(u64::MAX, &["ada", "ben"]));
    assert!(!group.counts(wild));
    assert_eq!(group.roster.next_counter(), 1);
    let fair = group.says("ada", epoch(1, &["ada", "ben"]));
    assert_eq!(group.roster.reading().epoch, Some(fair));
    assert_eq!(group.roster.next_counter(), 2);
}

#[test]
fn when_no_owner_or_admin_is_left_the_most_senior_member_counts_as_owner() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    let early = group.says("ben", add("eve", Role::Member));
    group.says("ada", leave());
    assert_eq!(group.role("ben"), Some(Role::Owner));
    assert_eq!(group.role("cem"), Some(Role::Member));
    assert!(!group.counts(early), "what it did before still does not count");
    group.says("cem", add("fay", Role::Member));
    group.says("ben", add("gil", Role::Admin));
    assert!(!group.has("fay") && group.has("gil"));
    assert_eq!(group.role("ben"), Some(Role::Member), "gil rules now");
}

#[test]
fn the_heir_writes_as_owner_where_nobody_else_ruled() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let before = group.roster.heads();
    group.says("ada", leave());
    let after = group.roster.heads();
    assert_eq!(group.roster.role_at(&key("ben"), &before, None), Some(Role::Member));
    assert_eq!(group.roster.role_at(&key("ben"), &after, None), Some(Role::Owner));
}

#[test]
fn a_body_of_another_age_is_kept_passed_on_and_without_effect() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let before = group.picture();
    let strange = group.says("ben", Body::Unknown { kind: 200, bytes: vec![1, 2, 3] });
    assert_eq!(group.picture(), before);
    let mut other = Replica::founded_by("ada");
    other.hears(&group);
    assert_eq!(other.roster.bytes(&strange), group.roster.bytes(&strange));
}

#[test]
fn a_junior_who_removes_after_being_removed_changes_nothing() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Member)]);
    let mut behind = group.clone();
    group.says("ada", remove("ben"));
    behind.says("ben", remove("cem"));
    group.hears(&behind);
    assert!(group.has("cem"));
}

#[test]
fn the_dead_comes_back_only_when_a_senior_undid_what_killed_it() {
    let group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Member)]);
    let (mut by_ada, mut by_ben) = (group.clone(), group);
    by_ben.says("ben", remove("cem"));
    assert!(!by_ben.has("cem"));
    by_ada.says("ada", remove("ben"));
    assert!(Replica::join(&[&by_ada, &by_ben]).has("cem"), "the removal did not know of ben's end");

    let mut later = by_ben.clone();
    later.says("ada", remove("ben"));
    assert!(!later.has("cem"), "a removal known to who removed its author stands");
}

#[test]
fn added_removed_and_added_at_once_ends_as_removed_and_can_be_added_again() {
    let group = Replica::of("ada", &[("ben", Role::Owner), ("cem", Role::Admin)]);
    let (mut first, mut second, mut third) = (group.clone(), group.clone(), group);
    first.says("ben", add("dia", Role::Admin));
    second.says("ada", remove("dia"));
    third.says("cem", add("dia", Role::Member));
    for order in [[&first, &second, &third], [&third, &second, &first], [&second, &first, &third]] {
        let mut joined = Replica::join(&order);
        assert!(!joined.has("dia"), "a removal apart from both ends both");
        joined.says("cem", add("dia", Role::Member));
        assert_eq!(joined.role("dia"), Some(Role::Member));
    }
}

#[test]
fn a_removal_by_a_junior_does_not_end_what_its_senior_added() {
    let group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin)]);
    let (mut adding, mut removing) = (group.clone(), group);
    adding.says("ben", add("dia", Role::Member));
    adding.says("cem", add("dia", Role::Member));
    removing.says("cem", remove("dia"));
    let joined = Replica::join(&[&adding, &removing]);
    assert!(joined.has("dia"), "ben's membership is older than cem is senior");
}

#[test]
fn two_who_were_removed_gain_nothing_by_reports_about_each_other() {
    let mut group = Replica::of("ada", &[("ben", Role::Admin), ("cem", Role::Admin)]);
    let mut behind = group.clone();
    let removals = [group.says("ada", remove("ben")), group.says("ada", remove("cem"))];
    behind.hears(&group);
    let cuts = group.roster.reading().cuts.clone();
    for (name, removal, of) in [("ben", removals[1], "cem"), ("cem", removals[0], "ben")] {
        let signer = device(name);
        let report = Body::Held { removal, vectors: vectors(of, 1_000) };
        let draft = behind.roster.draft(fourword_protocol::roster::Signer::Device(&signer), report);
        assert!(draft.is_err(), "who was removed has no seat to sign under");
    }
    assert_eq!(behind.roster.reading().cuts, cuts);
}

#[test]
fn a_device_certified_again_apart_from_its_revocation_stays_revoked() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ben", certify("ben/laptop"));
    let mut apart = group.clone();
    group.says("ben", revoke("ben/laptop"));
    apart.says("ben", certify("ben/laptop"));
    group.hears(&apart);
    assert_eq!(group.roster.reading().member_of(&key("ben/laptop")), None);
    group.says("ben", certify("ben/laptop"));
    assert!(group.roster.reading().member_of(&key("ben/laptop")).is_some());
}

#[test]
fn an_heir_opens_no_epoch_out_of_reach_either() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    group.says("ada", leave());
    let wild = group.says("ben", epoch(u64::MAX, &["ben"]));
    assert!(!group.counts(wild), "or no later epoch could ever be greater");
    let fair = group.says("ben", epoch(1, &["ben"]));
    assert_eq!(group.roster.reading().epoch, Some(fair));
}

#[test]
fn what_the_heir_did_while_nobody_ruled_stands_and_ends_with_the_admin_it_appoints() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    group.says("ada", leave());
    let (mut appointing, mut inviting) = (group.clone(), group);
    // One deeper than the other addition, so that no hash decides who of the two is senior.
    appointing.says("cem", certify("cem/laptop"));
    appointing.says("ben", add("gil", Role::Admin));
    let apart = inviting.says("ben", add("hal", Role::Member));
    let mut joined = Replica::join(&[&appointing, &inviting]);
    assert!(joined.has("gil") && joined.has("hal"), "neither knew of the other");
    let late = joined.says("ben", add("ida", Role::Member));
    assert!(joined.counts(apart) && !joined.counts(late));
    joined.says("gil", remove("hal"));
    joined.says("gil", add("ida", Role::Member));
    assert!(joined.has("ida") && joined.has("hal"), "ben is senior to gil, and so is whom it added first");
}

#[test]
fn when_the_appointed_admin_goes_the_most_senior_member_inherits_again() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    group.says("ada", leave());
    group.says("ben", add("gil", Role::Admin));
    group.says("ben", leave());
    assert_eq!(group.role("cem"), Some(Role::Member));
    group.says("gil", leave());
    assert_eq!(group.role("cem"), Some(Role::Owner));
}

// -- documents --------------------------------------------------------------------------------

#[test]
fn documents_of_the_removed_count_as_far_as_the_furthest_honest_report() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    let heads = group.roster.heads();
    let removal = group.says("ada", Body::Remove { person: person("ben"), vectors: vectors("ben", 5) });
    group.says("cem", Body::Held { removal, vectors: vectors("ben", 7) });
    let role =
        |group: &Replica, sequence| group.roster.role_at(&key("ben"), &heads, Some((&log("ben"), sequence)));
    assert_eq!(role(&group, 7), Some(Role::Member));
    assert_eq!(role(&group, 8), None);
    group.says("cem", Body::Held { removal, vectors: vectors("ben", 9) });
    assert_eq!(role(&group, 8), None, "only a device's first statement that knows of it may vouch");
}

#[test]
fn the_furthest_head_names_the_branch_and_of_two_at_one_length_the_smaller_hash() {
    let mut group =
        Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member), ("dia", Role::Member)]);
    let head = |sequence, hash| LogHead { sequence, hash: EnvelopeHash([hash; 32]) };
    let reach = |sequence, hash| vec![(log("ben"), head(sequence, hash))];
    assert_eq!(group.roster.named_head(&log("ben")), None);
    let removal = group.says("ada", Body::Remove { person: person("ben"), vectors: reach(5, 1) });
    assert_eq!(group.roster.named_head(&log("ben")), Some(head(5, 1)));
    group.says("cem", Body::Held { removal, vectors: reach(6, 9) });
    assert_eq!(group.roster.named_head(&log("ben")), Some(head(6, 9)));
    group.says("dia", Body::Held { removal, vectors: reach(6, 3) });
    assert_eq!(group.roster.named_head(&log("ben")), Some(head(6, 3)));
}

#[test]
fn a_report_about_logs_of_others_is_no_report() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    group.says("ada", Body::Remove { person: person("ben"), vectors: vectors("cem", 5) });
    let cuts = group.roster.reading().cuts.values().collect::<Vec<_>>();
    assert_eq!(cuts.len(), 1);
    assert!(cuts[0].is_empty());
}

#[test]
fn a_device_whose_certification_does_not_count_has_no_place_in_a_cut() {
    let mut group = Replica::of("ada", &[("ben", Role::Member)]);
    let mut behind = group.clone();
    group.says("ada", Body::Remove { person: person("ben"), vectors: vectors("ben/late", 5) });
    let before = group.roster.reading().cuts.clone();
    behind.says("ben", certify("ben/late"));
    group.hears(&behind);
    assert_eq!(group.roster.reading().cuts, before, "what does not count changes nothing");
}

#[test]
fn demotion_and_revocation_cut_documents_as_removal_does() {
    let mut group = Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member)]);
    group.says("cem", certify("cem/laptop"));
    let heads = group.roster.heads();
    let (role, reach) = (Role::Viewer, vectors("ben", 3));
    group.says("ada", Body::SetRole { person: person("ben"), role, vectors: reach });
    let at = |group: &Replica, name: &str, sequence| {
        group.roster.role_at(&key(name), &heads, Some((&log(name), sequence)))
    };
    assert_eq!(at(&group, "ben", 3), Some(Role::Member));
    assert_eq!(at(&group, "ben", 4), Some(Role::Viewer));

    let revocation = group.says("cem", revoke("cem/laptop"));
    assert_eq!(at(&group, "cem/laptop", 1), None);
    assert_eq!(at(&group, "cem", 1), Some(Role::Member));
    group.says("ben", Body::Held { removal: revocation, vectors: vectors("cem/laptop", 2) });
    assert_eq!(at(&group, "cem/laptop", 2), Some(Role::Member));
    assert_eq!(at(&group, "cem/laptop", 3), None);
}

#[test]
fn a_device_has_no_role_before_it_was_certified_and_none_where_heads_are_unknown() {
    let mut group = Replica::of("ada", &[]);
    let before = group.roster.heads();
    group.says("ada", add("ben", Role::Member));
    assert_eq!(group.roster.role_at(&key("ben"), &before, None), None);
    assert_eq!(group.roster.role_at(&key("ben"), &group.roster.heads(), None), Some(Role::Member));
    assert_eq!(before.len(), 1);
    assert_eq!(
        group.roster.role_at(&key("ben"), &[fourword_protocol::ids::StatementId([5; 32])], None),
        None
    );
}

#[test]
fn a_report_counts_only_as_its_devices_first_word_on_the_removal() {
    let mut group =
        Replica::of("ada", &[("ben", Role::Member), ("cem", Role::Member), ("dia", Role::Member)]);
    let removal = group.says("ada", Body::Remove { person: person("ben"), vectors: vectors("ben", 5) });
    group.says("cem", certify("cem/laptop"));
    group.says("cem", Body::Held { removal, vectors: vectors("ben", 90) });
    let furthest =
        |group: &Replica| group.roster.reading().cuts.values().next().unwrap()[&log("ben")].sequence;
    assert_eq!(furthest(&group), 5, "cem had spoken since it knew");
    group.says("cem/laptop", Body::Held { removal, vectors: vectors("ben", 7) });
    assert_eq!(furthest(&group), 7, "its other device had not");
    group.says("dia", Body::Held { removal, vectors: vectors("ben", 6) });
    assert_eq!(furthest(&group), 7, "a cut never gets shorter");
}

#[test]
fn of_several_removals_the_furthest_report_on_any_of_them_holds() {
    let group = Replica::of("ada", &[("ben", Role::Owner), ("cem", Role::Member), ("dia", Role::Member)]);
    let removal = |sequence| Body::Remove { person: person("dia"), vectors: vectors("dia", sequence) };
    let (mut by_ada, mut by_ben) = (group.clone(), group);
    let first = by_ada.says("ada", removal(3));
    let second = by_ben.says("ben", removal(4));
    by_ada.says("cem", Body::Held { removal: first, vectors: vectors("dia", 8) });
    by_ben.says("ada", Body::Held { removal: second, vectors: vectors("dia", 6) });
    let joined = Replica::join(&[&by_ada, &by_ben]);
    let cut =
        |replica: &Replica| replica.roster.reading().cuts.values().next().unwrap()[&log("dia")].sequence;
    assert_eq!((cut(&by_ada), cut(&by_ben)), (8, 6));
    assert_eq!(cut(&joined), 8);
    assert_eq!(Replica::join(&[&by_ben, &by_ada]).picture(), joined.picture());
}

#[test]
fn a_device_that_lets_two_people_have_it_writes_as_one_of_them_at_every_replica() {
    let start = Replica::of("ada", &[("ben", Role::Member)]);
    let (mut certified, mut added) = (start.clone(), start);
    certified.says("ben", Body::Certify { device: device("eve").card(person("ben")) });
    added.says("ada", add("eve", Role::Member));
    for joined in [Replica::join(&[&certified, &added]), Replica::join(&[&added, &certified])] {
        let (roster, eve) = (&joined.roster, key("eve"));
        let writes_as = roster.author_at(&eve, &roster.heads(), None).map(|(person, _)| person);
        let stands_as = roster.reading().member_of(&eve).map(|(person, _)| person);
        assert_eq!(
            [writes_as, stands_as, roster.person_of(&eve)],
            [Some(person("ben")); 3],
            "the senior one"
        );
    }
}
