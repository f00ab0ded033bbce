# syntax=docker/dockerfile:1
ARG COLOR=red
FROM apps/redis AS work
USER root
ARG COLOR
ARG FROM_SHELL=nothing
WORKDIR /work
RUN --mount=type=cache,target=/cache,id=apps-builds echo once >>/cache/log && echo "$COLOR $FROM_SHELL" >color
RUN --mount=type=secret,id=key sha256sum /run/secrets/key | cut -c1-8 >sum
RUN --mount=type=bind,target=/context ls -A /context >listing
COPY --from=shared lib.txt .
COPY --chown=redis:redis --chmod=640 files/ .
RUN <<END
set -e
grep -c builder.example /etc/hosts >hosts
END
FROM work AS tests
RUN false
FROM work AS final
USER redis
CMD ["--port", "7001"]
