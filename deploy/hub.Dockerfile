# The hub: web, grpcserve, worker, beat and migrate are commands of this one image.
#
#   docker build -f deploy/hub.Dockerfile -t sysmonstm-hub .

FROM python:3.11.15-slim-bookworm AS base
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /app

FROM base AS packages
RUN python -m venv /venv
COPY requirements/hub.txt requirements/hub.txt
# Every file is checked against its hash. What comes as source is built with the
# locked setuptools, not with whichever is newest today.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements/hub.txt > /tmp/build.txt \
 && pip install --require-hashes --no-deps -r /tmp/build.txt \
 && pip install --require-hashes --no-deps --no-build-isolation -r requirements/hub.txt
COPY proto proto
RUN pip install --no-deps --no-build-isolation ./proto

FROM base AS hub
COPY --from=packages /venv /venv
COPY manage.py ./
COPY deploy/probe.py deploy/reload.py deploy/sysmonstm-agent.service deploy/
# What new machines are given: their wheels are made from these, without a network.
COPY requirements/agent.txt requirements/
COPY proto proto
COPY agent agent
COPY static static
COPY templates templates
COPY hub hub
# Hashed and compressed once, here, so that browsers may keep them for ever.
RUN SECRET_KEY=unused DATA_DIR=/tmp/build python manage.py collectstatic --noinput \
 && rm -r /tmp/build \
 && python -m compileall -q hub
# Readable by the agent's user as well, which needs one file of it.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin hub \
 && install -d -o 10001 -g 10001 -m 755 /var/lib/sysmonstm-hub
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000 50051 50052
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["python", "deploy/probe.py", "http"]
CMD ["daphne", "--bind=0.0.0.0", "--port=8000", "--verbosity=0", "hub.asgi:application"]
