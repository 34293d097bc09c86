# lib.sh - what scripts/test, scripts/demo and scripts/bench share. Sourced,
# with `root` set to the top of the source tree; never run.
#
# shellcheck shell=sh

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# ---- what the machine must have ----

has_command() {
    command -v "$1" >/dev/null 2>&1
}

has_library() {
    has_command pkg-config && pkg-config --exists "$1"
}

# A C and a C++ compiler that find the headers of libc: both come with
# build-essential, and a machine can have one without the other.
has_compilers() {
    has_command cc && has_command c++ && has_command make &&
        printf '#include <stdio.h>\n' | cc -E -x c - >/dev/null 2>&1
}

# Prints the Debian packages that would fill what is missing. What is there
# is found out by asking for the thing itself, not for the package: another
# package may have brought it (libcurl has three flavours).
# $1: "all" adds what only scripts/test --all uses, "abi" and "packages" the part
# of that which the script of this name uses; else empty.
missing_packages() {
    has_compilers || say build-essential
    has_command pkg-config || say pkg-config
    has_command meson || say meson
    has_command ninja || say ninja-build
    has_command python3 || say python3
    has_command spin || say spin
    has_library libuv || say libuv1-dev
    has_library libcurl || say libcurl4-openssl-dev
    has_library jansson || say libjansson-dev
    has_library libmicrohttpd || say libmicrohttpd-dev
    has_library sqlite3 || say libsqlite3-dev
    has_library cmocka || say libcmocka-dev
    has_library nettle || say nettle-dev
    has_command openssl || say openssl
    has_command curl || say curl # what the documents show
    # Whom https trusts; a minimal system trusts nobody.
    [ -s /etc/ssl/certs/ca-certificates.crt ] || say ca-certificates
    has_library zlib || say zlib1g-dev
    if [ "$1" = all ] || [ "$1" = packages ]; then
        has_command dh || say debhelper
        has_command dpkg-buildpackage || say dpkg-dev
        has_command lintian || say lintian
    fi
    if [ "$1" = all ] || [ "$1" = abi ]; then
        has_command abidw || say abigail-tools
    fi
    if [ "$1" = all ] || [ "$1" = nginx ]; then
        has_command nginx || [ -x /usr/sbin/nginx ] || say nginx
        [ -x /usr/share/nginx/src/configure ] || say nginx-dev
    fi
    if [ "$1" = all ]; then
        has_command clang || say clang
        has_command shellcheck || say shellcheck
        has_command chromium || say chromium
        has_command mandoc || say mandoc
        has_command doxygen || say doxygen
        has_command cmake || say cmake
        # What Debian's libcurl stands on, for pkg-config --static.
        has_library libnghttp2 || say libnghttp2-dev
        has_library librtmp || say librtmp-dev
        has_library libssh2 || say libssh2-1-dev
        has_library libpsl || say libpsl-dev
        has_library krb5-gssapi || say libkrb5-dev
        has_library ldap || say libldap-dev
        [ -s /usr/include/http_parser.h ] || say libhttp-parser-dev
        # With Debian's own Python, which is the one that its packages are for.
        /usr/bin/python3 -c 'import jsonschema' 2>/dev/null ||
            say python3-jsonschema
        /usr/bin/python3 -c 'import yaml' 2>/dev/null || say python3-yaml
        has_command jq || say jq
        has_command sqlite3 || say sqlite3
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has_command sudo; then
        sudo -- "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# Installs what is missing; silent and without network when nothing is.
# $1: as above.
install_missing() {
    missing=$(missing_packages "$1" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    has_command apt-get || die "please install what these Debian packages" \
        "hold, then try again: $missing"
    say "installing: $missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    # A blank-separated list on purpose.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends $missing >/dev/null
    # Debian starts the servers that it installs; the tests start their own.
    case " $missing" in
    *" nginx "*) as_root systemctl disable --now nginx >/dev/null 2>&1 || : ;;
    esac
    left=$(missing_packages "$1" | tr '\n' ' ')
    [ -z "$left" ] || die "still missing after installing: $left"
}

# ---- building ----

# copy_tree DIR: the tree as it is now, without what git ignores.
copy_tree() {
    mkdir -p "$1"
    if [ -e "$root/.git" ]; then
        (cd "$root" && git ls-files -z --cached --others --exclude-standard |
            tar --null --ignore-failed-read -T - -cf - 2>/dev/null)
    else
        (cd "$root" && tar --exclude='./build*' -cf - .)
    fi | tar -xf - -C "$1"
}

# build_in DIR COMPILER SETUP-ARGUMENTS... : configures DIR if it is not, then
# builds. A directory that was configured for another place (a clone that was
# moved), or in another way, is made anew.
build_in() {
    dir=$1
    compiler=$2
    shift 2
    stamp="$root
$compiler $*"
    if [ ! -f "$dir/build.ninja" ] ||
        [ "$(cat "$dir/.configured" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$dir"
        CC=$compiler meson setup "$@" "$dir" "$root" >"$dir.log" 2>&1 || {
            cat "$dir.log" >&2
            rm -f "$dir.log"
            die "could not configure $dir"
        }
        mv "$dir.log" "$dir/setup.log"
        printf '%s\n' "$stamp" >"$dir/.configured"
    fi
    say "building ${dir##*/}"
    built=$(ninja -C "$dir" --quiet 2>&1) || {
        printf '%s\n' "$built" >&2
        die "could not build $dir"
    }
    # Warnings, if there are any.
    printf '%s\n' "$built" | sed '/^ninja: no work to do/d; /^$/d'
}

# ---- figures ----

version_of() {
    pkg-config --modversion "$1"
}

# What the figures below it were measured on.
print_origin() {
    say "commit    $(git describe --always --dirty --abbrev=12 2>/dev/null ||
        say unknown), $(date -u +%Y-%m-%d)"
    say "versions  libcurl $(version_of libcurl), libuv $(version_of libuv)," \
        "$(ldd --version 2>/dev/null | head -n 1)"
}

# record_figures NAME FILE: FILE replaces what stands between the comments
# "NAME: begin" and "NAME: end" of docs/performance.md; nothing is recorded if
# it says that it does not count.
record_figures() {
    ! grep -q 'does not count' "$2" ||
        die "other load on the machine: nothing recorded"
    document=$root/docs/performance.md
    awk -v name="$1" -v figures="$2" '
        $0 == "<!-- " name ": end -->" { inside = 0 }
        !inside
        $0 == "<!-- " name ": begin -->" {
            inside = 1
            print "\n```text"
            while ((getline line < figures) > 0)
                print line
            print "```\n"
        }
    ' "$document" >"$document.new"
    mv "$document.new" "$document"
    say "recorded in docs/performance.md"
}
