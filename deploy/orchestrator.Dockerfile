# The control plane: command line and orchestrator, without what draws.
#
#   docker build -f deploy/orchestrator.Dockerfile -t spritemill .
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY orchestrator orchestrator
COPY workers workers
RUN python -m venv /opt/spritemill \
 && /opt/spritemill/bin/pip install --no-cache-dir .

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home --home-dir /home/mill mill
COPY --from=build /opt/spritemill /opt/spritemill
COPY --chmod=644 deploy/bucket.py /opt/spritemill/bucket.py
ENV PATH=/opt/spritemill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SPRITEMILL_HOME=/home/mill/spritemill
USER 10001
WORKDIR /home/mill
ENTRYPOINT ["spritemill"]
CMD ["up", "--workers", "0"]
