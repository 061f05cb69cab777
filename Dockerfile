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
COPY scripts/image.ts scripts/sbom.ts scripts/
COPY src/licences.ts src/
RUN node scripts/image.ts
COPY LICENSE README.md ./
COPY config config
COPY scripts/demo scripts/demo
COPY scripts/wallet scripts/wallet
COPY scripts/playground scripts/playground
COPY scripts/demo.ts scripts/playground.ts scripts/wallet.ts scripts/
COPY src src
# What Node makes of the sources once is kept: a start takes two thirds of the time. Node looks for it by the user who runs it.
ENV NODE_COMPILE_CACHE=/app/.compiled
RUN mkdir .compiled && chown 1000:1000 .compiled \
 && setpriv --reuid=1000 --regid=1000 --clear-groups \
      env SANDBOX=1 DATA_DIR=/tmp/warm node src/main.ts demo --json > /dev/null \
 && chown -R root:root .compiled && chmod -R a+rX .compiled && rm -rf /tmp/warm
# Without the symbols that only a debugger of Node itself reads.
RUN strip --strip-unneeded -o /tmp/node /usr/local/bin/node && /tmp/node --version

FROM docker.io/library/node:24-bookworm-slim AS system
# What is not needed to run; as one layer more it would only be hidden, so the image starts from what is left.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/bin/npm /usr/local/bin/npx \
      /usr/local/bin/corepack /usr/local/bin/yarn* /opt/yarn* /usr/local/share/doc /usr/local/share/man \
      /var/lib/apt/lists/* /var/cache/* /usr/lib/*-linux-gnu/gconv /usr/share/man/* /usr/share/locale/* \
 && find /usr/share/doc -type f ! -name copyright -delete \
 && mkdir -p /data && chown 1000:1000 /data && chmod 700 /data
COPY --from=build /tmp/node /usr/local/bin/node

FROM scratch
COPY --from=system / /
COPY --from=build /app /app
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production NODE_COMPILE_CACHE=/app/.compiled HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
USER 1000:1000
VOLUME /data
EXPOSE 8402
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.PORT||8402)+'/ready').then(a=>process.exit(a.ok?0:1),()=>process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/src/main.ts"]
CMD ["serve"]
