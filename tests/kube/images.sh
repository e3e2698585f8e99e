#!/usr/bin/env bash
# tests/kube/images.sh ARCHIVE FOLDER: what the nodes import: the image of ARCHIVE, which deploy/image/build.sh has
# made, and that of the pause container.
set -euo pipefail
archive=$1 folder=$(realpath "$2")
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml" | head -1)
export CONTAINERS_STORAGE_CONF=$folder/storage.conf STORAGE_DRIVER=vfs
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$folder/storage" "$folder/storage-run" \
  > "$folder/storage.conf"
rm -f "$folder/crossbook.tar" "$folder/pause.tar"
skopeo copy --quiet "oci-archive:$archive" "docker-archive:$folder/crossbook.tar:docker.io/library/crossbook:$version"
container=$(buildah from --isolation chroot scratch)
buildah copy --quiet "$container" "$folder/bin/pause" /pause > /dev/null
buildah config --entrypoint '["/pause"]' "$container"
buildah commit --quiet --rm "$container" "docker-archive:$folder/pause.tar:localhost/pause:1" > /dev/null
rm -rf "$folder/storage" "$folder/storage-run" "$folder/storage.conf"
