#!/usr/bin/env bash
# How the parts of a fleet are wired, as a script that runs: one request over Redis, PostgreSQL and
# S3 with two worker processes, all on this machine, and then once more embedded, to compare.
#
#   python -m deploy.servers deploy/local-cluster.sh REQUEST
#
# starts private servers and puts their addresses into the environment, which is all that a
# fleet's settings are. In production these come from your own servers and secrets:
#
#   SPRITEMILL_DATABASE_URL   postgresql+psycopg://USER:PASSWORD@HOST/NAME   the ledger: the truth
#   SPRITEMILL_BROKER_URL     rediss://...?ssl_cert_reqs=required            hints to the workers
#   SPRITEMILL_STORE_URL      s3://BUCKET/PREFIX                             shards and datasets
#   SPRITEMILL_S3_ENDPOINT    the address of a store that is not AWS
#   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY                                 as boto3 finds them
set -euo pipefail

request=$1
workers=${2:-2}
bin=$(cd "$(dirname "$0")/.." && pwd)/.venv/bin
work=$(mktemp -d)
children=()

stop() {
  for child in "${children[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap stop EXIT

# Each process has a folder of its own, as if each ran on a machine of its own.
mill() { SPRITEMILL_HOME="$work/$1" "$bin/spritemill" "${@:2}"; }

echo "== the ledger's tables"
mill control db upgrade

echo "== the orchestrator: dispatches, reconciles, finalizes; knows no torch"
SPRITEMILL_HOME="$work/orchestrator" "$bin/spritemill" up --workers 0 &
children+=($!)

echo "== $workers workers: claim, render, upload, commit"
for number in $(seq "$workers"); do
  SPRITEMILL_HOME="$work/worker-$number" "$bin/python" -P -m workers 2>"$work/worker-$number.log" &
  children+=($!)
done

echo "== a user: submits, waits, fetches, verifies"
mill user submit "$request" --wait
mill user download latest "$work/dataset"
mill user verify "$work/dataset"
mill user workers list

# Empty, not unset: a settings file may name others.
embedded() {
  SPRITEMILL_HOME="$work/embedded" SPRITEMILL_DATABASE_URL='' SPRITEMILL_BROKER_URL='' \
    SPRITEMILL_STORE_URL='' "$bin/spritemill" "$@"
}

echo "== the same request embedded: no Redis, PostgreSQL or S3"
embedded run "$request"

digest() { "$bin/python" -c 'import json, sys; print(json.load(sys.stdin)["dataset_digest"])'; }
fleet=$(mill user status latest --json | digest)
embedded=$(embedded run "$request" --json | digest)
echo "fleet     $fleet"
echo "embedded  $embedded"
[ "$fleet" = "$embedded" ] && echo "equal: the dataset is a function of the request"
