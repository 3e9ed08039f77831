# Build: one executable with the runtime inside.
FROM denoland/deno:2.9.6 AS build
WORKDIR /build
COPY deno.json deno.lock ./
COPY main.ts ./
COPY src ./src
COPY tests/support/std_assert.d.ts ./tests/support/std_assert.d.ts
RUN deno task compile && mkdir /data

# Run: glibc and certificates, no shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Landfall" \
      org.opencontainers.image.description="Point of presence for Sentry telemetry: ingest, keep on disk, forward." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /build/dist/landfall /usr/local/bin/landfall
COPY --from=build --chown=nonroot:nonroot /data /data

# The configuration is /data/.landfall/config.yml if there is one; the environment is enough without it.
WORKDIR /data
ENV RELAY_HOST=0.0.0.0 \
    LANDFALL_SPOOL_PATH=/data/spool
VOLUME ["/data"]
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/usr/local/bin/landfall", "healthcheck", "--mode", "ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/landfall"]
CMD ["run"]
