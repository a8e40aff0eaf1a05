# The agent, for machines that would rather run a container than a Python package.
#
#   docker build -f deploy/agent.Dockerfile -t sysmonstm-agent .
#   docker run --rm --uts host -v sysmonstm-agent:/var/lib/sysmonstm-agent \
#     sysmonstm-agent sysmonstm-agent enrol https://hub.example \
#     --token … --fingerprint …
#   docker run -d --restart unless-stopped --read-only --cap-drop ALL \
#     --uts host --pid host --network host -v /:/host:ro,rslave \
#     -v sysmonstm-agent:/var/lib/sysmonstm-agent sysmonstm-agent
#
# The host's name, processes and interfaces are shared so that it measures the
# machine; `-v /:/host` lets it ask the machine's file systems how full they are.
# It reads, and needs no privilege.

FROM python:3.11.15-slim-bookworm AS base
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

FROM base AS packages
RUN python -m venv /venv
WORKDIR /build
# setuptools is not needed to run an agent; the hub's lock has it with its hash.
COPY requirements/agent.txt requirements/hub.txt ./
RUN sed -n '/^setuptools==/,/[^\\]$/p' hub.txt > build.txt \
 && pip install --require-hashes --no-deps -r build.txt \
 && pip install --require-hashes --no-deps -r agent.txt
COPY proto proto
COPY agent agent
RUN pip install --no-deps --no-build-isolation ./proto ./agent \
 && pip uninstall --yes setuptools pip

FROM base AS agent
COPY --from=packages /venv /venv
RUN useradd --uid 10002 --no-create-home --shell /usr/sbin/nologin agent \
 && install -d -o 10002 -g 10002 -m 700 /var/lib/sysmonstm-agent
USER 10002:10002
ENV PYTHONDONTWRITEBYTECODE=1
HEALTHCHECK --interval=5m --timeout=10s CMD ["sysmonstm-agent", "--once"]
CMD ["sysmonstm-agent"]
