/* A program that runs Python, ends it, and goes on with handlers of its own: `embedding SOURCE TIMES [crash]`. */
#include <Python.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static sigjmp_buf back;
static volatile sig_atomic_t seen;

static void handler(int number) {
    seen = number;
    siglongjmp(back, 1);
}

/* Initialise, run and finalise, so many times. */
static int run(const char *source, int times) {
    for (int count = 0; count < times; count++) {
        Py_InitializeEx(count & 1);
        if (PyRun_SimpleString(source)) return 1;
        if (Py_FinalizeEx()) return 2;
        puts("finalised");
        fflush(stdout);
    }
    return 0;
}

static void fault(void) { *(volatile int *)16 = 1; }

/* Handlers of faults that this program installs get its faults. */
static int faults(void) {
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (int index = 0; index < 4; index++) {
        struct sigaction action = {0}, old;
        action.sa_handler = handler;
        action.sa_flags = SA_NODEFER;
        sigaction(numbers[index], &action, &old);
        seen = 0;
        if (!sigsetjmp(back, 1)) {
            if (index == 0) fault();
            else raise(numbers[index]);
        }
        if (seen != numbers[index]) return 3;
        sigaction(numbers[index], &old, NULL);
    }
    return 0;
}

int main(int count, char **arguments) {
    int status = run(arguments[1], atoi(arguments[2]));
    if (!status) status = faults();
    if (!status) status = run(arguments[1], 1);
    if (!status) status = faults();
    printf("status %d\n", status);
    fflush(stdout);
    if (count > 3) fault();
    return status;
}
