# A worker: renders on the GPU that it is shown, or on the CPU.
#
#   docker build -f deploy/worker.Dockerfile -t spritemill-worker .
#
# PyPI's torch brings CUDA with it (5 GB). For machines without a GPU:
#
#   docker build ... --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
FROM python:3.12-slim-bookworm AS build
ARG TORCH_INDEX=https://pypi.org/simple
WORKDIR /src
COPY deploy/constraints.txt ./
RUN python -m venv /opt/spritemill \
 && /opt/spritemill/bin/pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY orchestrator orchestrator
COPY workers workers
RUN /opt/spritemill/bin/pip install --no-cache-dir -c constraints.txt '.[worker]'

FROM python:3.12-slim-bookworm
# Kernels are compiled where they run, for the very CPU; Triton needs a compiler for a GPU's.
# Its version is the release's: Debian keeps no older ones.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home --home-dir /home/mill mill
COPY --from=build /opt/spritemill /opt/spritemill
ENV PATH=/opt/spritemill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SPRITEMILL_HOME=/home/mill/spritemill
USER 10001
WORKDIR /home/mill
ENTRYPOINT ["python", "-P", "-m", "workers"]
