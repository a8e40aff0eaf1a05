"""What disks say of their own health (S.M.A.R.T.), asked by ioctl.

drive   what both kinds come to, and which disks there are
ata     SATA disks, through the kernel's SCSI layer
nvme    NVMe disks
"""
