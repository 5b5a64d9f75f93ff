#include "io/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"

enum { READ, WRITE };

struct signals {
    int pipe[2];
    struct event *event;
    signals_fn fn;
    void *arg;
    struct sigaction old_int, old_term, old_pipe;
};

/*
 * The signal flag, one of the two globals of the program: how many came, and where to tell the
 * loop.
 */
static volatile sig_atomic_t arrived;
static volatile sig_atomic_t tell = -1;

/* Beside them, for a prompt. */
static volatile sig_atomic_t patient, interrupted;

static void on_signal(int number)
{
    int saved = errno;
    if (number == SIGINT)
        interrupted = 1;
    if ((number != SIGINT || !patient) && arrived++)
        _exit(128 + number);
    char byte = (char)number;
    if (tell >= 0 && write(tell, &byte, 1) < 0)
        _exit(128 + number); /* nobody would ever hear of it */
    errno = saved;
}

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct signals *signals = arg;
    char byte;
    if (read(fd, &byte, 1) == 1)
        signals->fn(signals->arg, byte);
}

struct signals *signals_new(struct loop *loop, signals_fn fn, void *arg, struct err *e)
{
    struct signals *signals = mem_zalloc(sizeof *signals);
    signals->fn = fn;
    signals->arg = arg;
    if (pipe2(signals->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
        err_sys(e, 902, "cannot watch for signals");
        mem_free(signals);
        return NULL;
    }
    signals->event =
        event_new(loop_base(loop), signals->pipe[READ], EV_READ | EV_PERSIST, on_byte, signals);
    if (!signals->event || event_add(signals->event, NULL) < 0) {
        err_set(e, 902, "cannot watch for signals");
        if (signals->event)
            event_free(signals->event);
        close(signals->pipe[READ]);
        close(signals->pipe[WRITE]);
        mem_free(signals);
        return NULL;
    }
    arrived = 0;
    patient = interrupted = 0;
    tell = signals->pipe[WRITE];
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, &signals->old_int);
    sigaction(SIGTERM, &act, &signals->old_term);
    act.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &act, &signals->old_pipe);
    return signals;
}

void signals_free(struct signals *signals)
{
    if (!signals)
        return;
    sigaction(SIGINT, &signals->old_int, NULL);
    sigaction(SIGTERM, &signals->old_term, NULL);
    sigaction(SIGPIPE, &signals->old_pipe, NULL);
    tell = -1;
    event_free(signals->event);
    close(signals->pipe[READ]);
    close(signals->pipe[WRITE]);
    mem_free(signals);
}

int signals_be_patient(int wanted)
{
    int before = patient;
    patient = wanted;
    if (wanted)
        arrived = 0;
    return before;
}

int signals_interrupted(int forget)
{
    int came = interrupted;
    if (forget)
        interrupted = 0;
    return came;
}

const char *signals_name(int number)
{
    return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "signal";
}
