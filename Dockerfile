# The production image: no embedded servers, no tests, an ordinary user. compose.yaml shows it at work.
FROM python:3.13-slim AS build
WORKDIR /app
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gettext \
 && rm -rf /var/lib/apt/lists/*
COPY requirements/production.txt requirements/
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --no-deps -r requirements/production.txt
COPY webapp webapp
COPY jobs jobs
COPY templates templates
COPY static static
COPY translations translations
RUN find translations -name '*.po' -execdir sh -c 'msgfmt "$1" -o "${1%.po}.mo"' sh {} \;

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PORT=8000 DATA_DIR=/data
RUN useradd --system --home-dir /app tallystick && install -d -o tallystick /data
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER tallystick
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request as u; from urllib.parse import urlsplit; u.urlopen(u.Request('http://127.0.0.1:%s/healthz' % os.environ['PORT'], headers={'Host': urlsplit(os.environ.get('BASE_URL', 'http://localhost')).netloc}))"]
CMD ["sh", "-c", "PROMETHEUS_MULTIPROC_DIR=$(mktemp -d) exec granian --interface wsgi --host 0.0.0.0 --port $PORT --workers ${WEB_WORKERS:-2} --blocking-threads ${WEB_THREADS:-4} --backlog 4096 --backpressure 4096 --respawn-failed-workers webapp.wsgi:app"]
