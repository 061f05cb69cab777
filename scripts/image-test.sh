#!/usr/bin/env bash
# Smoke test of the image: builds it from the last commit, looks at its size and what is in it, and runs it as uid 1000 with a read-only
# root: the demo, doctor, health, and a SIGTERM to PID 1 in the middle of open streams. Needs root, buildah and unshare; says so and ends
# with 0 where they are not there.
#   scripts/image-test.sh [IMAGE]      an image that was built before, instead of building one
set -euo pipefail
for tool in buildah unshare chroot; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is not here"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo 'skipped: this needs root'; exit 0; }
buildah() { command buildah --storage-driver vfs "$@"; }
image=${1:-}
work=$(mktemp -d)
container=
trap 'kill $(jobs -p) 2>/dev/null || true; [ -z "$container" ] || buildah rm "$container" >/dev/null; rm -rf "$work"' EXIT

if [ -z "$image" ]; then
  image=farebox-test
  git clone -q "$(git rev-parse --show-toplevel)" "$work/src"
  (cd "$work/src" && buildah bud --format docker --isolation chroot --network host --pull-never -t "$image" . >"$work/build.log" 2>&1) ||
    { tail -20 "$work/build.log"; exit 1; }
fi
container=$(buildah from --pull-never "$image")
root=$(buildah mount "$container")
fail() { echo "FAILED: $1"; exit 1; }

mib=$(du -sm --exclude=proc "$root" | cut -f1)
echo "size: $mib MiB"
[ "$mib" -lt 350 ] || fail 'larger than 350 MiB'
for name in typescript vitest playwright-core node-gyp; do
  [ ! -e "$root/app/node_modules/$name" ] || fail "$name is in the image"
done
[ -s "$root/app/sbom.cdx.json" ] && [ -s "$root/app/THIRD-PARTY-LICENCES.txt" ] || fail 'no SBOM or licences'
[ ! -e "$root/usr/local/bin/npm" ] || fail 'npm is in the image'
buildah inspect --type image --format '{{.OCIv1.Config.User}}' "$image" | grep -q 1000 || fail 'it runs as root'
buildah inspect --type image "$image" | grep -qi healthcheck || fail 'it has no HEALTHCHECK'

# As a container runtime would: its own mounts, a read-only root, uid 1000, the program as PID 1.
inside() {
  unshare --mount --pid --fork --kill-child sh -ec '
    root=$1; data=$2; shift 2
    mount --bind "$root" "$root"; mount -t proc proc "$root/proc"; mount -t tmpfs tmpfs "$root/tmp"; mount --bind "$data" "$root/data"
    mount -o remount,bind,ro "$root"; cd "$root"
    exec chroot --userspec=1000:1000 "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin NODE_ENV=production NODE_COMPILE_CACHE=/app/.compiled \
      DATA_DIR=/data HOST=0.0.0.0 ENTER=1 "$@"' sh "$root" "$work/data" "$@"
}
mkdir "$work/data" && chown 1000:1000 "$work/data"
inside node /app/src/main.ts demo --json >"$work/demo.json" || fail "the demo: $(tail -c 500 "$work/demo.json")"
echo "demo: $(head -c 200 "$work/demo.json")"

begun=$(date +%s%N)
inside env SANDBOX=1 PORT=28417 PUBLIC_URL=http://127.0.0.1:28417 node --max-semi-space-size=8 /app/src/main.ts serve --json >"$work/out" 2>"$work/err" &
outer=$!
until curl -fs http://127.0.0.1:28417/ready >/dev/null 2>&1; do
  [ $(($(date +%s%N) - begun)) -lt 60000000000 ] || fail "not ready: $(cat "$work/out" "$work/err")"
  sleep 0.05
done
echo "start to ready: $((($(date +%s%N) - begun) / 1000000)) ms"
curl -fs http://127.0.0.1:28417/v1/models | grep -q '"demo-chat"' || fail 'it sells nothing'
# The shell that waits, unshare, and then the program.
pid=$outer
while child=$(pgrep -P "$pid"); do pid=$child; done
kill -TERM "$pid"
wait "$outer" || fail "SIGTERM ended with $?: $(tail -3 "$work/err")"
grep -q '"stopped"' "$work/err" || fail 'it did not drain'
inside node /app/src/main.ts verify --json >"$work/verify.json" || fail "verify: $(cat "$work/verify.json")"
echo 'SIGTERM drained; verify is clean'
echo 'the image is good'
