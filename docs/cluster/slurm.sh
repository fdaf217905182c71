#!/bin/bash
# A sweep on SLURM: one Ray head and one worker per node inside a job.
#   sbatch docs/cluster/slurm.sh search_spaces/ablation.yaml
# Submit it again after it was interrupted: finished trainings are not repeated, the others resume
# from their last epoch. The workspace must be on a file system that all nodes share.
#SBATCH --job-name=sweeper
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

space=${1:?usage: sbatch docs/cluster/slurm.sh SEARCH_SPACE.yaml}
workspace=${SWEEPER_WORKSPACE:-$SLURM_SUBMIT_DIR/workspace}
export RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0

# Ports and folders are derived from the job id, so that two users on one node do not collide.
port=$((20000 + SLURM_JOB_ID % 10000))
first_worker_port=$((30000 + (SLURM_JOB_ID % 100) * 100))
folder=/tmp/ray-$SLURM_JOB_ID
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun --nodes=1 --ntasks=1 --nodelist="$head" \
  uv run ray start --head --port="$port" --temp-dir="$folder" \
  --min-worker-port="$first_worker_port" --max-worker-port=$((first_worker_port + 99)) --block &
for _ in $(seq 60); do
  if uv run ray health-check --address "$head:$port"; then break; fi
  sleep 2
done
if [ "$SLURM_NNODES" -gt 1 ]; then
  srun --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) --exclude="$head" \
    uv run ray start --address="$head:$port" \
    --min-worker-port="$first_worker_port" --max-worker-port=$((first_worker_port + 99)) --block &
  sleep 20
fi

# SLURM warns two minutes before the end; the sweep then stops in good order (exit code 143).
uv run sweeper --workspace "$workspace" run "$space" --address "$head:$port" &
sweep=$!
trap 'kill -TERM "$sweep"' TERM
status=0
wait "$sweep" || status=$?
if kill -0 "$sweep" 2>/dev/null; then # the trap cut the wait short: the sweep is still stopping
  status=0
  wait "$sweep" || status=$?
fi
exit "$status"
