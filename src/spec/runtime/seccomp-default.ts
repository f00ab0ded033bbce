/**
 * The profile a container runs under when nobody names another: everything is refused with EPERM
 * but the calls listed here. The allowances are those that container engines document as their
 * default, grouped by what the calls are for. Left out on purpose: what reaches the host's kernel
 * as a whole (kexec_load, swapon, nfsservctl …), keyrings, which no namespace divides (add_key,
 * keyctl, request_key), io_uring, whose operations no filter sees, and userfaultfd.
 */
import type { Capability } from "#spec/runtime/capabilities.ts";
import type { SeccompArg, SeccompProfile, SeccompRule } from "#spec/runtime/seccomp-profile.ts";

/** Allowed to everyone. */
const ALWAYS: Readonly<Record<string, string>> = {
  processes: `
    execve execveat exit exit_group fork vfork wait4 waitid waitpid kill tkill tgkill
    pidfd_open pidfd_send_signal process_mrelease prctl getpid getppid gettid getpgid getpgrp
    setpgid getsid setsid set_tid_address set_robust_list get_robust_list restart_syscall rseq
    getcpu membarrier set_thread_area get_thread_area seccomp uretprobe
    landlock_create_ruleset landlock_add_rule landlock_restrict_self`,
  identity: `
    getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32
    getresgid getresgid32 getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid
    setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid
    setfsuid32 setfsgid setfsgid32 setgroups setgroups32 capget capset umask`,
  scheduling: `
    sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam
    sched_setparam sched_getscheduler sched_setscheduler sched_get_priority_max
    sched_get_priority_min sched_rr_get_interval sched_rr_get_interval_time64 sched_yield
    getpriority setpriority ioprio_get ioprio_set`,
  limits: "getrlimit ugetrlimit setrlimit prlimit64 getrusage times sysinfo uname",
  signals: `
    rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn
    signalfd signalfd4 pause alarm`,
  memory: `
    brk mmap mmap2 munmap mremap mprotect madvise mincore msync mlock mlock2 mlockall munlock
    munlockall remap_file_pages memfd_create memfd_secret map_shadow_stack mseal pkey_alloc
    pkey_free pkey_mprotect cachestat`,
  files: `
    open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock ioctl lseek
    _llseek read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 sendfile
    sendfile64 splice tee vmsplice copy_file_range readahead fadvise64 fadvise64_64 fallocate
    truncate truncate64 ftruncate ftruncate64 fsync fdatasync sync syncfs sync_file_range
    pipe pipe2 eventfd eventfd2 name_to_handle_at`,
  names: `
    access faccessat faccessat2 link linkat symlink symlinkat readlink readlinkat unlink unlinkat
    rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat chdir fchdir getcwd getdents
    getdents64`,
  attributes: `
    stat stat64 lstat lstat64 fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs
    fstatfs64 chmod fchmod fchmodat fchmodat2 chown chown32 lchown lchown32 fchown fchown32
    fchownat utime utimes futimesat utimensat utimensat_time64 getxattr lgetxattr fgetxattr
    getxattrat setxattr lsetxattr fsetxattr setxattrat listxattr llistxattr flistxattr
    listxattrat removexattr lremovexattr fremovexattr removexattrat statmount listmount`,
  watching: `
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_mark select
    _newselect pselect6 pselect6_time64 poll ppoll ppoll_time64 epoll_create epoll_create1
    epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old epoll_pwait epoll_pwait2`,
  asynchronous: `
    io_setup io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64 io_destroy`,
  time: `
    time gettimeofday clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 nanosleep adjtimex clock_adjtime clock_adjtime64
    getitimer setitimer timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64
    timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
    timerfd_settime timerfd_settime64`,
  synchronisation: `
    futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue semget semop semtimedop
    semtimedop_time64 semctl`,
  messages: `
    msgget msgsnd msgrcv msgctl shmget shmat shmdt shmctl ipc mq_open mq_unlink mq_timedsend
    mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify mq_getsetattr`,
  sockets: `
    socketcall socketpair bind connect listen accept accept4 getsockname getpeername getsockopt
    setsockopt shutdown send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg
    recvmmsg_time64`,
  randomness: "getrandom",
};

/** Allowed to those who hold the capability that the kernel asks for anyway. */
const WITH_CAPABILITY: Readonly<Partial<Record<Capability, string>>> = {
  CAP_BPF: "bpf",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_PERFMON: "perf_event_open",
  CAP_SYS_ADMIN: `
    mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick
    clone clone3 unshare setns sethostname setdomainname
    bpf perf_event_open fanotify_init lookup_dcookie quotactl quotactl_fd syslog
    lsm_get_self_attr lsm_set_self_attr lsm_list_modules`,
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "init_module finit_module delete_module",
  CAP_SYS_NICE: "get_mempolicy set_mempolicy set_mempolicy_home_node mbind",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: `
    ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd`,
  CAP_SYS_RAWIO: "iopl ioperm",
  CAP_SYS_TIME: "settimeofday stime clock_settime clock_settime64",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYSLOG: "syslog",
};

/** Allowed on one kind of machine, by the word a profile uses for it. */
const ON_MACHINE: Readonly<Record<string, string>> = {
  amd64: "arch_prctl modify_ldt",
  arm64: `
    arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls`,
};

const words = (text: string): string[] => text.trim().split(/\s+/);

const allow = (names: string, rest: Partial<SeccompRule> = {}): SeccompRule => ({
  names: words(names),
  action: "SCMP_ACT_ALLOW",
  args: [],
  ...rest,
});

const compare = (op: SeccompArg["op"], value: bigint, valueTwo = 0n): SeccompArg[] => [
  { index: 0, value, valueTwo, op },
];

/** NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of clone(2): no new namespaces. */
const NAMESPACE_FLAGS = 0x7e020000n;

const ENOSYS = 38;

/**
 * AF_ALG (38) is the kernel's whole crypto subsystem to any user, AF_VSOCK (40) a way to the
 * hypervisor past every network namespace. Families are small numbers, so two gaps do it.
 */
const SOCKET_FAMILIES: readonly SeccompArg[][] = [
  compare("SCMP_CMP_LT", 38n),
  compare("SCMP_CMP_EQ", 39n),
  compare("SCMP_CMP_GT", 40n),
];

/** Linux, Linux 32-bit, each with UNAME26, and the value that only asks. */
const PERSONALITIES = [0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn];

const withCapability = (name: string): Partial<SeccompRule> => ({
  includes: { caps: [name], arches: [] },
});

const withoutAdmin: Partial<SeccompRule> = { excludes: { caps: ["CAP_SYS_ADMIN"], arches: [] } };

export const DEFAULT_SECCOMP_PROFILE: SeccompProfile = {
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: 1,
  architectures: [],
  archMap: [
    {
      architecture: "SCMP_ARCH_X86_64",
      subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
  ],
  syscalls: [
    allow(Object.values(ALWAYS).join(" ")),
    // Before 4.8 a tracer could change a call after the filter had seen it.
    allow("ptrace process_vm_readv process_vm_writev", {
      includes: { caps: [], arches: [], minKernel: [4, 8] },
    }),
    ...SOCKET_FAMILIES.map((args) => allow("socket", { args })),
    ...PERSONALITIES.map((value) => allow("personality", { args: compare("SCMP_CMP_EQ", value) })),
    ...Object.entries(ON_MACHINE).map(([arch, names]) =>
      allow(names, { includes: { caps: [], arches: [arch] } }),
    ),
    ...Object.entries(WITH_CAPABILITY).map(([name, names]) => allow(names, withCapability(name))),
    allow("clone", {
      args: compare("SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0n),
      ...withoutAdmin,
    }),
    // A filter cannot look into clone3's structure; ENOSYS makes the C library use clone.
    {
      names: ["clone3"],
      action: "SCMP_ACT_ERRNO",
      errnoRet: ENOSYS,
      args: [],
      ...withoutAdmin,
    },
  ],
};
