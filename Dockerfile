# The sidecar as an image: no shell, no package manager, user 65532, some 160 MB (docs/container.md).
#
#   docker build -t sidecar .
#
# Both bases are arguments, so that a build can pin them, or take them from a mirror:
#
#   docker build -t sidecar --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:… \
#                           --build-arg RUNTIME_IMAGE=gcr.io/distroless/python3-debian12:nonroot@sha256:… .
#
# They go together: one Debian, one minor version of Python. What pip installs for one runs on the other.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG RUNTIME_IMAGE=gcr.io/distroless/python3-debian12:nonroot

# The packages that the sidecar needs: built again only when pyproject.toml or constraints.txt changes.
FROM ${PYTHON_IMAGE} AS dependencies
ARG EXTRAS=redis,otlp
WORKDIR /build
# constraints.txt need not be there; with one taken from an image (docs/container.md) the versions are that image's.
COPY pyproject.toml constraints.tx[t] ./
# Without a pip of its own: nobody will install anything into it.
RUN python -m venv --without-pip /opt/sidecar \
 && python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
    extras = (project["optional-dependencies"][extra] for extra in sys.argv[1].split(",") if extra); \
    print(*project["dependencies"], *sum(extras, []), sep="\n")' "${EXTRAS}" > wanted.txt \
 && touch constraints.txt
# For an index of your own: docker build --secret id=pip,src=pip.conf. What it holds is in no layer and no history.
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip --python /opt/sidecar/bin/python install --no-compile --requirement wanted.txt --constraint constraints.txt \
 && mkdir -p /opt/sidecar/share/sidecar \
 && pip --python /opt/sidecar/bin/python list --format=freeze > /opt/sidecar/share/sidecar/constraints.txt
# The runtime's interpreter is Debian's, in another place. Compiled here, since nothing can be written there; what was
# compiled is not compared with its source at each start.
RUN python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/sidecar/lib \
 && ln -sf /usr/bin/python3.11 /opt/sidecar/bin/python \
 && sed -i 's|^home = .*|home = /usr/bin|' /opt/sidecar/pyvenv.cfg

# The sidecar itself: a wheel, unpacked into a tree of its own, so that a new version is a small layer.
FROM dependencies AS build
COPY README.md LICENSE ./
COPY sidecar/ sidecar/
# The linter wants a version; it is the one that was just built, and no other is in dist/.
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip wheel --no-deps --wheel-dir dist . \
 && pip install --no-deps --no-compile --no-index --find-links dist --root /tree --prefix /opt/sidecar sidecar-proxy \
 && sed -i '1s|.*|#!/opt/sidecar/bin/python|' /tree/opt/sidecar/bin/sidecar \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /tree /tree

FROM ${RUNTIME_IMAGE}
# Debian's library comes without compiled modules: without this each start, and each health check, compiles it anew.
USER 0
RUN ["/usr/bin/python3.11", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", \
     "-x", "/(distutils|ensurepip|lib2to3|pydoc_data|unittest)/", "/usr/lib/python3.11"]
COPY --from=dependencies /opt/sidecar /opt/sidecar
COPY --from=build /tree /
COPY --chmod=0644 sidecar.toml /etc/sidecar/sidecar.toml
USER 65532:65532
WORKDIR /
ENV PATH=/opt/sidecar/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Does this Python take what the other one installed? It says so here, not at the first start.
RUN ["sidecar", "check", "/etc/sidecar/sidecar.toml"]
EXPOSE 7070 7071 7072
# Whether it lives, not whether its upstreams do: an outage of a provider is no reason to restart the sidecar.
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["sidecar", "health", "--live", "-c", "/etc/sidecar/sidecar.toml"]
ENTRYPOINT ["sidecar"]
CMD ["run", "-c", "/etc/sidecar/sidecar.toml"]
ARG VERSION=dev
ARG RUNTIME_IMAGE
LABEL org.opencontainers.image.title="sidecar" \
      org.opencontainers.image.description="A localhost proxy that gives any application resilience" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"
