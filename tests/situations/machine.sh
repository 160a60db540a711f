# SPDX-License-Identifier: Apache-2.0
# Runs a command on a machine of its own: machine.sh LAYER VENDOR COMMAND...; LAYER holds files to lay over this
# machine's, VENDOR is what its DMI says. In a mount namespace of its own, as root; nothing is left behind.
set -e
layer=$1 vendor=$2
shift 2
mount -t tmpfs none /mnt
root=/mnt/root
mkdir -p /mnt/layer $root
cp -r "$layer"/. /mnt/layer/
[ -e /mnt/layer/.dockerenv ] || mknod /mnt/layer/.dockerenv c 0 0 # hidden, where ours is one
mount -t overlay overlay -o lowerdir=/mnt/layer:/ $root
mount --rbind /dev $root/dev
mount --bind /tmp $root/tmp
mount -t proc proc $root/proc
mount -t tmpfs none $root/sys
mkdir -p $root/sys/class/net $root/sys/devices
mount --bind /sys/class/net $root/sys/class/net
mount --bind /sys/devices $root/sys/devices
if [ -n "$vendor" ]; then
    mkdir -p $root/sys/class/dmi/id
    echo "$vendor" > $root/sys/class/dmi/id/sys_vendor
fi
exec chroot $root "$@"
