//! Whatever crosses on the way, all comes at once: disks are slow, and something is told, read, folded and
//! asked for at the same time.
//!
//! Nobody compares by the clock here: that would mend after a minute what was lost.

use fourword_protocol::command::{ChatCommand, Command, JoinBy, Outcome, Reply};
use fourword_protocol::limits::FOLD_AFTER_ENVELOPES;
use fourword_protocol::roster::Role;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::disk::DiskProfile;
use fourword_tests::network::LinkProfile;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::keeping::{CHAT, assert_same, drop_document, flags};

/// A world that nobody compares in, and what it is drawn by.
struct World {
    c: Cluster,
    group: FourWords,
    random: ChaCha20Rng,
}

impl World {
    /// Ada and ben, who have written a little; every other world folds what is written soon.
    fn new(seed: u64) -> World {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let mut c = Cluster::new(seed);
        (c.compare_every, c.clocks_begin_anew) = (None, true);
        c.fold_after = if seed.is_multiple_of(2) { 4 + seed % 12 } else { FOLD_AFTER_ENVELOPES };
        let mut some = |most: u64| random.next_u64() % (most + 1);
        c.set_links(LinkProfile { stream_ms: (0, some(23)), ..LinkProfile::CALM });
        let flush_ms = (1, [20, 200, 900][some(2) as usize]);
        let read_ms = (1, [8, 100, 500][some(2) as usize]);
        c.disks = DiskProfile { flush_ms, gather_ms: (0, some(50)), read_ms };
        let group = c.group_of(&["ada", "ben"]);
        let mut world = World { c, group, random };
        for number in 0..world.some(20) {
            world.c.send_message("ada", group, &format!("from before {number}"));
            world.wait(20);
        }
        world
    }

    /// A number up to this one.
    fn some(&mut self, most: u64) -> u64 {
        self.random.next_u64() % (most + 1)
    }

    /// Lets some time pass, up to so many milliseconds.
    fn wait(&mut self, most_ms: u64) {
        let ms = self.some(most_ms);
        self.c.run_for(ms);
    }

    fn ask(&mut self, name: &str, command: ChatCommand) {
        self.c.begin(name, Command::Chat(self.group, command));
    }
}

#[test]
fn whenever_a_chat_is_kept_again_while_a_connection_opens_all_of_it_comes() {
    for seed in 0..400 {
        let mut w = World::new(seed);
        let group = w.group;
        let gone = w.c.send_message("ben", group, "to be deleted");
        while w.c.read_chat("ada", group) != w.c.read_chat("ben", group) {
            w.c.run_for(5);
        }
        w.wait(300);
        while drop_document(&mut w.c, "ben", group, CHAT) != Outcome::Done(Reply::Ok) {
            w.c.run_for(20);
        }
        w.wait(1_500);
        if w.some(3) > 0 {
            w.c.crash("ben");
            w.c.restart("ben");
        }
        w.c.stop("ben");
        w.ask("ada", ChatCommand::say("written meanwhile", None));
        w.wait(100);
        w.ask("ada", ChatCommand::Delete(gone));
        w.wait(100);
        w.c.restart("ben");
        w.c.connect("ben", "ada");
        w.wait(100);
        w.c.begin("ben", Command::Keep(group, CHAT));
        w.c.run_for(20_000);
        assert_eq!(w.c.read_chat("ben", group), w.c.read_chat("ada", group), "{seed}");
        assert_same(&mut w.c, &["ada", "ben"], group);
        assert_eq!(["ada", "ben"].map(|name| flags(&mut w.c, name, group)), [(0, 1); 2], "{seed}");
    }
}

#[test]
fn whenever_somebody_joins_while_all_write_all_of_it_comes() {
    // In the first four a snapshot did not come once.
    for seed in [2358, 2772, 4508, 5816].into_iter().chain(0..200) {
        let mut w = World::new(seed);
        let group = w.group;
        let code = w.c.invite("ada", group, Role::Member, 1);
        w.wait(2_000);
        w.c.add("cem");
        for with in ["ada", "ben"] {
            w.c.connect("cem", with);
            w.wait(40);
        }
        w.c.begin("cem", Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() });
        for number in 0..w.some(6) {
            w.ask(["ada", "ben"][number as usize % 2], ChatCommand::say(format!("meanwhile {number}"), None));
            w.wait(400);
        }
        w.c.run_for(40_000);
        for name in ["ben", "cem"] {
            assert_eq!(w.c.read_chat(name, group), w.c.read_chat("ada", group), "{seed} {name}");
        }
        assert_same(&mut w.c, &["ada", "ben", "cem"], group);
    }
}
