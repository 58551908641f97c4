//! The slow hash between an id and its words: Argon2id, version 0x13, one lane, 32 bytes out.
//!
//! It makes each guess at a name cost what it costs us, about 0.2 s and 64 MiB, so that 48 bits
//! are enough to say aloud and too many to forge. The driver runs it on a blocking thread, for
//! `Effect::Stretch`. RFC 9106; parameters and salts: docs/PROTOCOL.md, section 8.

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::{Naming, StretchInput, work};

/// What a stretch gives if Argon2 refuses its input: no name begins with ones, and nobody looks
/// anything up under them.
const REFUSED: [u8; 32] = [0xff; 32];

impl StretchInput {
    /// Runs Argon2id: about 0.2 s and 64 MiB with `Naming::Standard`. Work takes about a second.
    ///
    /// Deterministic and total: memory that cannot be had ends the process, as everywhere else,
    /// and Argon2 refuses no input of these sizes.
    pub fn run(&self) -> [u8; 32] {
        match self {
            StretchInput::Name(naming, id) => stretch(*naming, id, name_salt(*naming)),
            StretchInput::Lookup(naming, words) => stretch(*naming, &words.to_bytes(), lookup_salt(*naming)),
            StretchInput::Work { bits, challenge } => work::find(*bits, challenge),
        }
    }
}

// The salts keep names, lookups and tests apart: no result of one is a result of another.

fn name_salt(naming: Naming) -> &'static [u8] {
    match naming {
        Naming::Standard => b"fourword/v1/name",
        Naming::Test => b"fourword/test/name",
    }
}

fn lookup_salt(naming: Naming) -> &'static [u8] {
    match naming {
        Naming::Standard => b"fourword/v1/lookup",
        Naming::Test => b"fourword/test/lookup",
    }
}

fn stretch(naming: Naming, input: &[u8], salt: &[u8]) -> [u8; 32] {
    let (memory_kib, passes) = match naming {
        Naming::Standard => (64 * 1024, 3),
        Naming::Test => (16, 1),
    };
    let mut stretched = REFUSED;
    let Ok(params) = Params::new(memory_kib, passes, 1, Some(stretched.len())) else {
        return REFUSED;
    };
    // Allocated here and not by argon2, which would report a lack of memory as a refusal, and a
    // good name would then be taken for a forged one.
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    match argon2.hash_password_into_with_memory(input, salt, &mut stretched, &mut memory) {
        Ok(()) => stretched,
        Err(_) => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::to_hex;
    use crate::words::FourWords;

    // The expected bytes of these tests come from the reference implementation of Argon2 in C.

    #[test]
    fn a_standard_name_is_the_reference_implementations_argon2id() {
        let stretched = StretchInput::Name(Naming::Standard, [2; 32]).run();
        assert_eq!(to_hex(&stretched), "05195394e7ef0d014c79737dd51db6085cbbe416b6c75f76291c71d4bf226967");
        let words = FourWords::from_stretch(Naming::Standard, &stretched);
        assert_eq!(words.unwrap().to_string(), "explore-faraway-esoteric-undergo");
    }

    #[test]
    fn a_test_name_and_its_lookup_are_the_reference_implementations_argon2id() {
        let stretched = StretchInput::Name(Naming::Test, [0; 32]).run();
        assert_eq!(to_hex(&stretched), "0d27ee64f715233cf6368191ce9aeaacc04d6f9fce5de6ad074e84beb3baeb2c");
        let words = FourWords::from_stretch(Naming::Test, &stretched).unwrap();
        assert_eq!(words.to_string(), "boulder-wonder-send-taxable");

        let lookup = StretchInput::Lookup(Naming::Test, words).run();
        assert_eq!(to_hex(&lookup), "c856401d981c32b47109d70026deaa4b03bae3cc66265d33da31070eb7e4a4bc");
        let key = FourWords::lookup_key(&lookup);
        assert_eq!(key.to_string(), "14986ff0043d9bf6dd30a4062c5abd42f7b21ba526aee6b0b699e779307f3d10");
    }

    #[test]
    fn a_name_and_a_lookup_of_the_same_kind_have_different_salts() {
        let mut salts: Vec<_> =
            [Naming::Standard, Naming::Test].iter().flat_map(|n| [name_salt(*n), lookup_salt(*n)]).collect();
        salts.sort();
        salts.dedup();
        assert_eq!(salts.len(), 4);
        assert!(salts.iter().all(|salt| salt.len() >= 16));
    }

    #[test]
    fn about_one_test_id_in_two_has_a_name() {
        let named = (0..200u8).filter(|id| {
            let stretched = StretchInput::Name(Naming::Test, [*id; 32]).run();
            FourWords::from_stretch(Naming::Test, &stretched).is_some()
        });
        assert!((70..=130).contains(&named.count()));
    }

    #[test]
    fn what_a_refusal_gives_is_never_a_name() {
        assert_eq!(FourWords::from_stretch(Naming::Standard, &REFUSED), None);
        assert_eq!(FourWords::from_stretch(Naming::Test, &REFUSED), None);
    }
}
