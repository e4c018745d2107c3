#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes a test node what a lab has before our roles come: a kernel package and its initramfs (stand-ins), container
# engines, and an image in them that nvidia-smi can be run in. There is no registry.
set -e
export DEBIAN_FRONTEND=noninteractive
pool=/srv/testlab/apt/pool
kernel=$(uname -r | tr '[:upper:]' '[:lower:]' | tr -c 'a-z0-9.+\n-' -)
apt-get -qq update
# The package is in newer releases only.
# shellcheck disable=SC2046
apt-get -qq --yes --no-install-recommends install docker.io $(apt-cache pkgnames docker-cli) containerd busybox-static \
    $pool/initramfs-tools-stand-in_*.deb "$pool/linux-image-${kernel}_0~stand-in_amd64.deb"

root=/srv/image
mkdir -p $root/bin $root/etc $root/proc $root/sys $root/dev $root/tmp
cp /bin/busybox $root/bin
for applet in $(busybox --list | grep -vx busybox); do ln -sf busybox "$root/bin/$applet"; done
tar -C $root -cf /srv/image.tar .

# systemd gives up on a unit that starts three times in a minute, as in these tests Docker does.
mkdir -p /etc/systemd/system/docker.service.d
printf '[Unit]\nStartLimitIntervalSec=0\n' >/etc/systemd/system/docker.service.d/testlab.conf

# The engines' own disks are new in each node that is made of this one.
cat >/etc/systemd/system/testlab-image.service <<'UNIT'
[Unit]
After=docker.service containerd.service
Wants=docker.service containerd.service

[Service]
Type=oneshot
Restart=on-failure
RestartSec=1
ExecCondition=/bin/sh -c '! docker image inspect localhost/testlab:1'
ExecStart=/usr/bin/docker import /srv/image.tar localhost/testlab:1
ExecStart=/bin/sh -c 'docker save localhost/testlab:1 | ctr images import -'

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable testlab-image.service
