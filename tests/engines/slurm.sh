#!/usr/bin/env bash
# A SLURM cluster of this one machine, until standard input ends. Needs root, and Debian's slurm-wlm and munge.
# Usage: slurm.sh FOLDER; prints "ready" when jobs can be queued. Its configuration is FOLDER/slurm.conf.
set -euo pipefail
folder=$(realpath "$1")
export SLURM_CONF=$folder/slurm.conf
mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
host=$(hostname -s)

cat >"$SLURM_CONF" <<END
ClusterName=zoo
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldPort=${2:-16817}
SlurmdPort=${3:-16818}
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=short Nodes=ALL Default=YES MaxTime=60 State=UP OverSubscribe=FORCE:4
PartitionName=long Nodes=ALL MaxTime=120 State=UP OverSubscribe=FORCE:4
END
printf 'Name=gpu File=/dev/%s\n' null zero >"$folder/gres.conf"  # SLURM hands out files, whatever is behind them

head -c 1024 /dev/urandom >"$folder/munge/key"
chmod 700 "$folder/munge"; chmod 400 "$folder/munge/key"
munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
  --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" >/dev/null 2>&1 &
running=$!
stop() {
  for job in $(squeue --noheader --format=%i); do scancel --quiet "$job" || true; done
  for _ in $(seq 100); do
    [ -z "$(squeue --noheader)" ] && break
    sleep 0.2
  done
  kill $running 2>/dev/null || true
  for _ in $(seq 50); do
    [ -z "$(jobs -r)" ] && break
    sleep 0.1
  done
  kill -9 $running 2>/dev/null || true
  for step in $(pgrep slurmstepd || true); do  # one that ends waits for minutes to tell a controller that is gone
    if grep -qz "SLURM_CONF=$SLURM_CONF" "/proc/$step/environ" 2>/dev/null; then kill -9 "$step" 2>/dev/null || true; fi
  done
}
trap stop EXIT
for _ in $(seq 50); do [ -S "$folder/munge/socket" ] && break; sleep 0.1; done
slurmctld -D >/dev/null 2>&1 &
running="$! $running"
slurmd -D >/dev/null 2>&1 &
running="$! $running"
for _ in $(seq 100); do
  sinfo --noheader --format=%t 2>/dev/null | grep -qx idle && break
  sleep 0.2
done
sinfo --noheader --format=%t | grep -qx idle
echo ready
cat >/dev/null
