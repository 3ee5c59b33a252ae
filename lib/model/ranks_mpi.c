#include <mpi.h>
#include <time.h>

#include "model/ranks_int.h"

enum {
	POLLS = 1000			/* before a wait sleeps in between */
};

static MPI_Request request[2][2];

static int
result(int rc, const char *what, struct ge_err *e)
{
	char why[MPI_MAX_ERROR_STRING];
	int len;

	if (rc == MPI_SUCCESS)
		return (0);
	MPI_Error_string(rc, why, &len);
	return (ge_fail(e, GE_EFAIL, "cannot %s: %.*s", what, len, why));
}

static int
begin(int *rank, int *size, struct ge_err *e)
{
	int level, rc;

	if ((rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level)) ==
	    MPI_SUCCESS && (rc = MPI_Comm_set_errhandler(MPI_COMM_WORLD,
	    MPI_ERRORS_RETURN)) == MPI_SUCCESS &&
	    (rc = MPI_Comm_rank(MPI_COMM_WORLD, rank)) == MPI_SUCCESS)
		rc = MPI_Comm_size(MPI_COMM_WORLD, size);
	return (result(rc, "begin MPI", e));
}

static void
end(void)
{

	MPI_Finalize();
}

static void
stop(int status)
{

	MPI_Abort(MPI_COMM_WORLD, status);
}

static int
start(int slot, int peer, const void *out, size_t outlen, void *in,
    size_t inlen, struct ge_err *e)
{
	MPI_Request *q = request[slot];
	int rc = MPI_SUCCESS;

	q[0] = q[1] = MPI_REQUEST_NULL;
	if (inlen > 0)
		rc = MPI_Irecv(in, (int)inlen, MPI_BYTE, peer, 0,
		    MPI_COMM_WORLD, &q[0]);
	if (rc == MPI_SUCCESS && outlen > 0)
		rc = MPI_Isend(out, (int)outlen, MPI_BYTE, peer, 0,
		    MPI_COMM_WORLD, &q[1]);
	return (result(rc, "send to a rank", e));
}

/* MPI's own waits spin, and whoever shares the processor suffers. */
static int
wait(int slot, struct ge_err *e)
{
	const struct timespec pause = { 0, 50000 };
	MPI_Status status[2];		/* not looked at */
	int done = 0, polls, rc;

	for (polls = 0; !done; polls++) {
		if ((rc = MPI_Testall(2, request[slot], &done,
		    status)) != MPI_SUCCESS)
			return (result(rc, "receive from a rank", e));
		if (!done && polls > POLLS)
			nanosleep(&pause, NULL);
	}
	return (0);
}

static const struct ge_transport mpi = {
	"MPI", begin, end, stop, start, wait
};

const struct ge_transport *
ge_transport(void)
{

	return (&mpi);
}
