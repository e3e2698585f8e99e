#!/usr/bin/env bash
# deploy/release/build.sh [BINARY [FOLDER]]: packs a release of the binary that `make build` has made: an archive, a
# Debian package, the debug information, the list of components, the changelog, and SHA256SUMS over all of them. The
# same binary gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "${1:-target/release/crossbook}")
out=$(realpath -m "${2:-target/dist}")
PYTHON=${PYTHON:-python3}

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct HEAD)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
machine=$(uname -m)
case $machine in
  x86_64) debian=amd64 ;;
  aarch64) debian=arm64 ;;
  *) echo "deploy/release/build.sh: no name of Debian's for $machine is known" >&2; exit 1 ;;
esac
name=crossbook-$version-$machine-linux
umask 022
rm -rf "$out"
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The layout of a package; the archive has the same files under one folder.
root=$work/root
# `make build` has moved the debug information into a file beside the program; otherwise it is done here.
mkdir -p "$root/usr/bin" "$work/$name-debug"
debug=$work/$name-debug/crossbook.debug
if test -f "$binary.debug"; then
  install -m 755 "$binary" "$root/usr/bin/crossbook"
  install -m 644 "$binary.debug" "$debug"
else
  objcopy --only-keep-debug --compress-debug-sections=zlib "$binary" "$debug"
  objcopy --strip-debug --add-gnu-debuglink="$debug" "$binary" "$root/usr/bin/crossbook"
fi
"$binary" man --out "$work/man" > /dev/null
mkdir -p "$root/usr/share/man/man1"
for page in "$work"/man/*.1; do gzip -9n < "$page" > "$root/usr/share/man/man1/$(basename "$page").gz"; done
complete() { mkdir -p "$(dirname "$root/$2")"; "$binary" completions "$1" > "$root/$2"; }
complete bash usr/share/bash-completion/completions/crossbook
complete zsh usr/share/zsh/vendor-completions/_crossbook
complete fish usr/share/fish/vendor_completions.d/crossbook.fish
install -D -m 644 deploy/release/crossbook.service "$root/usr/lib/systemd/system/crossbook.service"
install -D -m 644 docs/crossbook.toml "$root/etc/crossbook/crossbook.toml"
doc=$root/usr/share/doc/crossbook
install -D -m 644 LICENSE "$doc/copyright"
gzip -9n < CHANGELOG.md > "$doc/changelog.gz"

# The archive, with the files where a person looks for them.
flat=$work/$name
mkdir -p "$flat"
cp -r "$root/usr/bin/crossbook" "$work/man" "$flat/"
cp -r LICENSE README.md CHANGELOG.md docs/crossbook.toml deploy/release/crossbook.service "$flat/"
mkdir -p "$flat/completions"
cp "$root/usr/share/bash-completion/completions/crossbook" "$flat/completions/crossbook.bash"
cp "$root/usr/share/zsh/vendor-completions/_crossbook" "$root/usr/share/fish/vendor_completions.d/crossbook.fish" \
  "$flat/completions/"
"$PYTHON" deploy/image/components.py "$(mktemp -d -p "$work")" > "$out/$name.cdx.json"
cp "$out/$name.cdx.json" "$flat/crossbook.cdx.json"
chmod -R u=rwX,go=rX "$flat" "$root"
pack() {
  tar --directory "$work" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --create "$1" |
    gzip -6n > "$out/$1.tar.gz"
}
pack "$name"
pack "$name-debug"

# The Debian package. It makes a user and starts nothing: without an admin token there is nothing to start.
mkdir -p "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$debian/" -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" \
  -e "s/@GLIBC@/$(objdump -T "$binary" | grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -1 | cut -d_ -f2)/" \
  deploy/release/control > "$root/DEBIAN/control"
echo /etc/crossbook/crossbook.toml > "$root/DEBIAN/conffiles"
install -m 755 deploy/release/postinst deploy/release/prerm deploy/release/postrm "$root/DEBIAN/"
find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --build --root-owner-group -Zxz "$root" "$out/crossbook_${version}_$debian.deb" > /dev/null

# What has changed in this release.
awk '/^## /{ if (seen++) exit } seen' CHANGELOG.md > "$out/changes.md"
(cd "$out" && LC_ALL=C sha256sum -- * > "$work/sums" && mv "$work/sums" SHA256SUMS && chmod 644 SHA256SUMS)
cat "$out/SHA256SUMS"
