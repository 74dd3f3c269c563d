// Signal handlers: what they are told, what they find changed, and what is restored behind them.
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile sig_atomic_t ticks;
static double damage = 2.5;

static void simple(int signal) {
    // Spoils every vector register that the program may be using.
    volatile double x = damage;
    for (int i = 0; i < 100; i++) x = x * 1.0001 + sqrt(x);
    printf("handler of %d\n", signal);
}

static void tick(int signal) { ticks++; (void)signal; }

static void last(int number) { simple(number); signal(number, SIG_DFL); raise(number); puts("still here"); }

static void told(int signal, siginfo_t *info, void *at) {
    ucontext_t *context = at;
    printf("signal %d code %d address %p trap %lld\n", signal, info->si_code,
           signal == SIGUSR1 || signal == SIGILL || signal == SIGFPE ? 0 : info->si_addr, context->uc_mcontext.gregs[REG_TRAPNO]);
    if (signal == SIGTRAP) return;
    if (signal == SIGILL) { context->uc_mcontext.gregs[REG_RIP] += 2; return; }
    if (signal != SIGUSR1) siglongjmp(back, 1);
}

static void on(int signal, int flags) {
    struct sigaction action = {.sa_flags = flags};
    if (flags & SA_SIGINFO) action.sa_sigaction = told; else action.sa_handler = simple;
    sigaction(signal, &action, 0);
}

static void alternate(int signal) {
    stack_t now;
    sigaltstack(0, &now);
    char here;
    printf("signal %d on the alternate stack: %d %d\n", signal, now.ss_flags,
           &here >= (char *)now.ss_sp && &here < (char *)now.ss_sp + now.ss_size);
    siglongjmp(back, 1);
}

static int deeper(int n) { volatile char page[4096]; page[0] = n; return n < 0 ? 0 : deeper(n + 1) + page[0]; }

int main(void) {
    int result;
    setvbuf(stdout, 0, _IONBF, 0);
    on(SIGUSR1, SA_SIGINFO);
    register double kept = damage * 3;
    raise(SIGUSR1);
    on(SIGUSR2, 0);
    kill(getpid(), SIGUSR2);
    printf("kept %.3f\n", kept);

    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR2);
    sigpending(&set);
    printf("pending %d\n", sigismember(&set, SIGUSR2));
    result = sigsuspend(&old);
    printf("sigsuspend %d %d\n", result, errno == EINTR);
    raise(SIGUSR2);
    sigprocmask(SIG_SETMASK, &old, 0);
    on(SIGUSR2, SA_RESETHAND);
    raise(SIGUSR2);
    struct sigaction now;
    sigaction(SIGUSR2, 0, &now);
    printf("reset %d\n", now.sa_handler == SIG_DFL);

    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) on(signals[i], SA_SIGINFO);
    if (!sigsetjmp(back, 1)) *(volatile int *)0x1234 = 1;
    volatile int one = 1, zero = 0;
    if (!sigsetjmp(back, 1)) printf("%d\n", one / zero);
    if (!sigsetjmp(back, 1)) asm volatile("hlt");
    asm volatile("ud2");
    asm volatile("int3");
    asm volatile(".byte 0xcd, 3"); // INT n, not INT3
    if (!sigsetjmp(back, 1)) asm volatile("int $0x81");
    puts("all returned");

    static char stack[16384];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&other, 0);
    struct sigaction action = {.sa_handler = alternate, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, 0);
    if (!sigsetjmp(back, 1)) printf("%d\n", deeper(0));

    struct sigaction ticking = {.sa_handler = tick};
    sigaction(SIGALRM, &ticking, 0);
    struct itimerval every = {{0, 20000}, {0, 20000}}, none = {0};
    setitimer(ITIMER_REAL, &every, 0);
    double sum = 0;
    while (ticks < 3) sum += sqrt(sum + 1); // never in a system call
    printf("interrupted while computing: %d\n", sum > 0);
    struct timespec second = {5, 0}, left;
    result = nanosleep(&second, &left);
    printf("nanosleep %d %d, %d seconds left\n", result, errno == EINTR, (int)left.tv_sec);
    setitimer(ITIMER_REAL, &none, &every);
    printf("every %d us\n", (int)every.it_interval.tv_usec);
    alarm(100);
    printf("alarm %u\n", alarm(0));
    struct timespec soon = {0, 1000000};
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    result = sigtimedwait(&set, 0, &soon);
    printf("sigtimedwait %d %d\n", result, errno == EAGAIN);
    int ends[2];
    if (pipe(ends)) return 1;
    close(ends[0]);
    signal(SIGPIPE, simple);
    result = write(ends[1], "x", 1);
    printf("write %d %d\n", result, errno == EPIPE);
    // It is blocked in its handler, and kills when that returns.
    signal(SIGTERM, last);
    raise(SIGTERM);
    puts("it lives");
}
