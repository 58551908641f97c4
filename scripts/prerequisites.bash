# Says what is missing before a build can work, and how to get it. Sourced by `run` and `test`.
#
# On Debian and its relatives, as root, missing packages are installed. Rust is never installed
# here: people keep it in different ways, and the version matters.

# require NAME PACKAGE WHY: remembers a program that is not there.
missing_packages=()
missing_reasons=()
require() {
    if ! command -v "$1" >/dev/null; then
        missing_packages+=("$2")
        missing_reasons+=("$1: $3")
    fi
}

# provide: installs what `require` missed, or says how to, and then fails.
provide() {
    [[ ${#missing_packages[@]} -gt 0 ]] || return 0
    printf 'Missing: %s\n' "${missing_reasons[@]}" >&2
    local install=(apt-get install --yes --no-install-recommends "${missing_packages[@]}")
    if ! command -v apt-get >/dev/null; then
        printf 'Install these with the package manager of your system, then try again.\n' >&2
        return 1
    fi
    if [[ $(id -u) -ne 0 ]]; then
        printf 'Install them, then try again:\n  sudo %s\n' "${install[*]}" >&2
        return 1
    fi
    apt-get update >&2 && DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2
}

# rust_is_new_enough FOUND NEEDED: compares versions such as 1.95.0 and 1.95.
rust_is_new_enough() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1) == "$2" ]]
}

# require_rust: fails unless cargo and a rustc that is new enough are there.
require_rust() {
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        printf 'Missing: Rust %s or newer. Get it from https://rustup.rs, then try again.\n' "$needed" >&2
        return 1
    fi
    found=$(rustc --version | cut -d ' ' -f 2)
    if ! rust_is_new_enough "${found%%-*}" "$needed"; then
        printf 'Rust %s is too old: %s or newer is needed. Try: rustup update\n' "$found" "$needed" >&2
        return 1
    fi
}

# require_subcommand NAME COMPONENT: fails unless cargo has this part.
require_subcommand() {
    if ! cargo "$1" --version >/dev/null 2>&1; then
        printf 'Missing: cargo %s. Try: rustup component add %s\n' "$1" "$2" >&2
        return 1
    fi
}
