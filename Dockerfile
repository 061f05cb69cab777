# docker build -t farebox .   then   docker run -p 8402:8402 -v farebox:/data farebox
FROM docker.io/library/node:24-bookworm-slim AS build
# sqlite3 and secp256k1 are compiled where no ready binary can be had; none of the tools goes into the image.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 make g++ \
 && rm -rf /var/lib/apt/lists/*
# Node's own headers are in the image: nothing is fetched for them.
ENV npm_config_nodedir=/usr/local
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund
COPY scripts/image.ts scripts/
RUN npm sbom --omit=dev --package-lock-only --sbom-format=cyclonedx > sbom.cdx.json \
 && node scripts/image.ts
COPY LICENSE README.md ./
COPY config config
COPY scripts/demo scripts/demo
COPY scripts/wallet scripts/wallet
COPY scripts/demo.ts scripts/wallet.ts scripts/
COPY src src
# What Node makes of the sources once is kept: a start takes half the time.
ENV NODE_COMPILE_CACHE=/app/.compiled
RUN SANDBOX=1 DATA_DIR=/tmp/warm node src/main.ts demo --json > /dev/null && rm -rf /tmp/warm

FROM docker.io/library/node:24-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data NODE_COMPILE_CACHE=/app/.compiled
WORKDIR /app
COPY --from=build /app /app
# The package managers of the base image are not needed to run.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn* \
 && mkdir /data && chown 1000:1000 /data && chmod 700 /data
USER 1000:1000
VOLUME /data
EXPOSE 8402
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.PORT||8402)+'/ready').then(a=>process.exit(a.ok?0:1),()=>process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/src/main.ts"]
CMD ["serve"]
