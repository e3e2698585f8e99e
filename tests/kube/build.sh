#!/usr/bin/env bash
# tests/kube/build.sh FOLDER: builds a Kubernetes from Debian's source package into FOLDER/bin, unless it is there: API
# server, scheduler, controllers, kubelet and proxy, and the program of the pause container. Takes minutes, once.
#
# The version is old (1.20), because the source packages of newer ones have only kubectl; there is none to be had as
# binaries where only the registries of packages can be reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/lists/partial" "$1/bin"
cd "$1"
folder=$PWD
version=1.20.5+really1.20.2-1.1+deb12u1
programs=(kube-apiserver kube-scheduler kube-controller-manager kubelet kube-proxy)
missing=0
for program in "${programs[@]}" pause; do test -x "bin/$program" || missing=1; done
test $missing = 1 || exit 0

if ! test -f extracted; then
  # A list of sources of its own, so that the machine's stay as they are.
  echo 'deb-src http://deb.debian.org/debian bookworm main' > sources.list
  options=(-o "Dir::Etc::SourceList=$folder/sources.list" -o Dir::Etc::SourceParts=-)
  options+=(-o "Dir::State::Lists=$folder/lists")
  test -f "kubernetes_$version.dsc" || {
    apt-get "${options[@]}" update -qq
    apt-get "${options[@]}" source -qq --download-only "kubernetes=$version"
  }
  rm -rf gopath
  mkdir -p gopath/src/k8s.io
  dpkg-source --no-check --extract "kubernetes_$version.dsc" gopath/src/k8s.io/kubernetes > extract.log 2>&1
  touch extracted
fi

# Debian's source is laid out for GOPATH, and module mode refuses it.
export GOPATH=$folder/gopath GO111MODULE=off CGO_ENABLED=0 GOFLAGS='' GOCACHE=$folder/gocache
cd gopath/src/k8s.io/kubernetes
# The one generated file that the source package lacks.
openapi=pkg/generated/openapi/zz_generated.openapi.go
if ! test -f $openapi; then
  go build -o "$folder/bin/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
  packages=$(grep -rl --include='*.go' '+k8s:openapi-gen=true' pkg/apis staging/src/k8s.io | xargs -n1 dirname |
    sed -e 's#^staging/src/#k8s.io/kubernetes/vendor/#' -e 's#^pkg/#k8s.io/kubernetes/pkg/#' |
    grep -v '/sample-\|/code-generator/' | sort -u | paste -sd,)
  "$folder/bin/openapi-gen" --go-header-file hack/boilerplate/boilerplate.generatego.txt --input-dirs "$packages" \
    --output-package k8s.io/kubernetes/pkg/generated/openapi --output-base "$folder/gopath/src" \
    --output-file-base zz_generated.openapi.new --report-filename "$folder/openapi.report" > "$folder/openapi.log" 2>&1
  mv pkg/generated/openapi/zz_generated.openapi.new.go $openapi
fi
for program in "${programs[@]}"; do
  test -x "$folder/bin/$program" || {
    echo "building $program"
    go build -ldflags '-s -w' -o "$folder/bin/$program" "./cmd/$program"
  }
done
cc -static -Os -o "$folder/bin/pause" "$here/pause.c"
