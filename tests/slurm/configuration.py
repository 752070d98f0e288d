"""What the daemons of the cluster of slurm/cluster.py are told."""

from __future__ import annotations

SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={slurmdbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct_db
CommunicationParameters=NoInAddrAny
"""

# Each of these shortens a wait; the defaults are in brackets.
#   cred_expire (120 s)   a requeued job waits a second longer; below 5 it is taken for 120
#   bf_interval (30 s)    who looks whether a requeued job may start
#   KillWait (30 s)       between SIGTERM and SIGKILL
#   SlurmdTimeout (300 s) until a silent node is down and its jobs start again elsewhere;
#   MessageTimeout (10 s) each look at a silent node takes this long
# Time limits are looked at every 30 s, whatever is set here.
SLURM = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={slurmctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdTimeout=10
MessageTimeout=5
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd}
AccountingStoragePass={folder}/munge.sock
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=1,sched_interval=2
MaxArraySize={max_array_size}
DefMemPerCPU=500
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
OverTimeLimit=0
InactiveLimit=0
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeAddr=127.0.0.1 Port={n1} CPUs=4 RealMemory=8000
NodeName=n2 NodeAddr=127.0.0.1 Port={n2} CPUs=4 RealMemory=8000
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=60 PriorityTier=1
PartitionName=short Nodes=n1,n2 MaxTime=2 PriorityTier=1
PartitionName=high Nodes=n1,n2 MaxTime=60 PriorityTier=10 PreemptMode=OFF
"""
