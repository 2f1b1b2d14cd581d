#!/usr/bin/env bash
# Installs what `make` built; `make install` calls it.
#
#   install.sh DESTDIR PREFIX      PREFIX is a full path, DESTDIR may be empty
#
# Under PREFIX: the programs, the systemd unit with its user, the documents. Under /etc/ringback: an example of
# the configuration, made by the daemon itself. Touches neither a configuration that is there nor a service.
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $# = 2 && $2 = /* ]] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' tools/install.sh >&2 && exit 2; }
prefix=$1$2
etc=$1/etc/ringback

[ -x build/release/ringbackd ] || { echo "install: nothing is built; run make first" >&2 && exit 1; }
install -d "$prefix/bin" "$prefix/lib/systemd/system" "$prefix/lib/sysusers.d" "$prefix/share/doc/ringback" "$etc"
install -m 755 build/release/ringbackd build/release/ringback "$prefix/bin"
sed "s|@PREFIX@|$2|g" packaging/ringbackd.service >"$prefix/lib/systemd/system/ringbackd.service"
install -m 644 packaging/ringback.sysusers "$prefix/lib/sysusers.d/ringback.conf"
env -i build/release/ringbackd --config /dev/null --print-config >"$etc/ringback.conf.example"
for document in README.md CHANGELOG.md LICENSE; do
    [ ! -f "$document" ] || install -m 644 "$document" "$prefix/share/doc/ringback"
done
if [ -d docs ]; then
    cp -R docs/. "$prefix/share/doc/ringback/"
    chmod -R u=rwX,go=rX "$prefix/share/doc/ringback"
fi
chmod 644 "$prefix/lib/systemd/system/ringbackd.service" "$etc/ringback.conf.example"

[ -z "$1" ] || exit 0
cat <<END
Installed under $2. To run it as a service:
  systemd-sysusers $2/lib/sysusers.d/ringback.conf
  install -m 640 -g ringback /etc/ringback/ringback.conf.example /etc/ringback/ringback.conf    # then set database
  runuser -u ringback -- $2/bin/ringback migrate
  systemctl daemon-reload && systemctl enable --now ringbackd
END
