# SPDX-License-Identifier: Apache-2.0
# Runs a command on a machine of its own: machine.sh LAYER VENDOR USER PROGRAM COMMAND...; LAYER holds files to lay
# over this machine's, VENDOR is what its DMI says, PROGRAM becomes its /usr/bin/mailboat. In mount and process
# namespaces of its own, as root; nothing is left behind.
set -e
layer=$1 vendor=$2 user=$3 program=$4
shift 4
mount -t tmpfs none /mnt
root=/mnt/root
mkdir -p /mnt/layer/usr/bin $root
cp -a "$layer"/. /mnt/layer/
touch /mnt/layer/usr/bin/mailboat
[ -e /mnt/layer/.dockerenv ] || mknod /mnt/layer/.dockerenv c 0 0 # hidden, where ours is one
mount -t overlay overlay -o lowerdir=/mnt/layer:/ $root
mount --bind "$program" $root/usr/bin/mailboat
mount --rbind /dev $root/dev
mount -t proc proc $root/proc
mount -t tmpfs none $root/tmp
mount -t tmpfs none $root/home
mkdir $root/home/ada
chown "$user:$user" $root/home/ada
mount -t tmpfs none $root/etc/ssl/certs # its own CA certificates alone
cp -a "$layer"/etc/ssl/certs/. $root/etc/ssl/certs/
mount -t tmpfs none $root/sys
mkdir -p $root/sys/class/net $root/sys/devices
mount --bind /sys/class/net $root/sys/class/net
mount --bind /sys/devices $root/sys/devices
if [ -n "$vendor" ]; then
    mkdir -p $root/sys/class/dmi/id
    echo "$vendor" > $root/sys/class/dmi/id/sys_vendor
fi
exec chroot "--userspec=$user:$user" $root "$@"
