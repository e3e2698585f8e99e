#!/usr/bin/env bash
# deploy/image/build.sh [BINARY [FOLDER]]: builds the image of a release binary with buildah, as the archive
# FOLDER/crossbook.tar, and writes beside it its list of components (crossbook.cdx.json) and its digest (digest).
#
# The same binary gives the same digest: file times are those of the commit, the packing is buildah's, and nothing else
# of the machine gets in but the C library and the list of authorities. `make image` checks that.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=$(realpath "${1:-target/release/crossbook}")
out=$(realpath -m "${2:-target/image}")
PYTHON=${PYTHON:-python3}

commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct HEAD)}
export SOURCE_DATE_EPOCH
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

# The storage of images is in the folder, so that the build needs nothing of the machine's and leaves nothing.
stage=$out/stage
rm -rf "$stage"
mkdir -p "$stage/root/usr/bin" "$stage/root/etc/ssl/certs" "$stage/root/tmp" "$stage/data"
export CONTAINERS_STORAGE_CONF=$out/storage.conf STORAGE_DRIVER=vfs
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$out/storage" "$out/run" > "$out/storage.conf"

objcopy --strip-debug --remove-section=.gnu_debuglink "$binary" "$stage/root/usr/bin/crossbook"
# What it is linked against, each file where the loader looks for it.
ldd "$binary" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  install -D -m 755 "$(realpath "$library")" "$stage/root$library"
done
install -m 644 /etc/ssl/certs/ca-certificates.crt "$stage/root/etc/ssl/certs/"
echo 'crossbook:x:10001:10001::/data:/usr/sbin/nologin' > "$stage/root/etc/passwd"
echo 'crossbook:x:10001:' > "$stage/root/etc/group"
chmod 1777 "$stage/root/tmp"
"$PYTHON" deploy/image/components.py "$stage/root" > "$out/crossbook.cdx.json"
mkdir -p "$stage/root/usr/share/doc/crossbook"
install -m 644 LICENSE "$out/crossbook.cdx.json" "$stage/root/usr/share/doc/crossbook/"
cp deploy/image/Containerfile "$stage/"

label() { printf -- '--label=org.opencontainers.image.%s=%s\n' "$1" "$2"; }
mapfile -t labels < <(
  label title Crossbook
  label description 'A spot exchange, in one process or as a cluster'
  label version "$version"
  label revision "$commit"
  label created "$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)"
  label licenses Apache-2.0
)
buildah build --quiet --isolation chroot --format oci --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false \
  "${labels[@]}" --tag "crossbook:$version" "$stage" > /dev/null
rm -f "$out/crossbook.tar"
buildah push --quiet --format oci --compression-level 9 --digestfile "$out/digest" \
  "crossbook:$version" "oci-archive:$out/crossbook.tar:crossbook:$version"
buildah rmi --all --force > /dev/null
rm -rf "$stage" "$out/storage" "$out/run" "$out/storage.conf"
echo "$out/crossbook.tar: crossbook:$version, $(cat "$out/digest"), $(stat --format=%s "$out/crossbook.tar") bytes"
