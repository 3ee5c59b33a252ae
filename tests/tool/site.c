/*
 * site [-CRrW] [-j jobs] [-n times] [-t tries] [-s stall] SITESFILE VERB SITE
 *     NAME [ARG ...]: the net, from a shell.
 *
 *	put NAME FILE	-r: replace; -n: NAME.0, NAME.1, ... at once
 *	get NAME [OFF LEN]	to standard output
 *	head NAME, list NAME, remove NAME
 *
 * Prints a line for each operation: RESULT SIZE or the message; -C cancels each
 * once begun, -W all on SIGUSR1.  Status 0 if all were DONE.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "site/site.h"

static int
entry(void *arg, const char *name, size_t len, uint64_t size, int folder)
{
	size_t i;

	(void)arg;
	if (name == NULL) {
		printf("again\n");
		return (0);
	}
	for (i = 0; i < len; i++)
		if ((unsigned char)name[i] > ' ' &&
		    (unsigned char)name[i] < 0x7f && name[i] != '%')
			putchar(name[i]);
		else
			printf("%%%02X", (unsigned char)name[i]);
	if (folder)
		printf("/\n");
	else if (size == GE_OP_UNKNOWN)
		printf(" ?\n");
	else
		printf(" %llu\n", (unsigned long long)size);
	return (0);
}

static volatile sig_atomic_t asked;

static void
on_signal(int sig)
{

	(void)sig;
	asked = 1;
}

static void
die(const char *what)
{

	fprintf(stderr, "site: %s\n", what);
	exit(2);
}

int
main(int argc, char **argv)
{
	static const char *const verbs[] = { "put", "get", "head", "list",
	    "remove" };
	static const char *const results[] = { "done", "absent", "exists",
	    "denied", "failed", "cancelled" };
	struct ge_net_conf c = { .jobs = 8 };
	struct ge_op *op, *o;
	struct ge_sites s;
	struct ge_net *net;
	struct ge_err e;
	struct stat st;
	int replace = 0, cancel = 0, patient = 0, n = 1, i, ch, kind, rc = 0, fd = 0;
	uint64_t up, down;

	while ((ch = getopt(argc, argv, "+CRWrj:n:t:s:T:u")) != -1)
		switch (ch) {
		case 'C':
			cancel = 1;
			break;
		case 'r':
			replace = 1;
			break;
		case 'W':
			patient = 1;
			break;
		case 'u':
			c.s3unsigned = 1;
			break;
		case 'j':
			c.jobs = atoi(optarg);
			break;
		case 'n':
			n = atoi(optarg);
			break;
		case 't':
			c.tries = atoi(optarg);
			break;
		case 's':
			c.stall = c.connect = atof(optarg);
			break;
		case 'T':
			c.total = atof(optarg);
			break;
		default:
			die("usage");
		}
	signal(SIGUSR1, on_signal);
	argc -= optind;
	argv += optind;
	if (argc < 4 || n < 1)
		die("usage");
	for (kind = 0; kind < 5 && strcmp(argv[1], verbs[kind]) != 0; kind++)
		;
	if (kind == 5)
		die("no such verb");
	if (ge_sites_read(&s, argv[0], &e) == -1)
		die(e.msg);
	if ((net = ge_net_open(&s, &c, &e)) == NULL)
		die(e.msg);
	if (kind == GE_OP_PUT) {
		if (argc < 5 || (fd = open(argv[4], O_RDONLY)) == -1 ||
		    fstat(fd, &st) == -1)
			die("no such file");
	}
	if ((op = calloc((size_t)n, sizeof(*op))) == NULL)
		die("memory");
	for (i = 0; i < n; i++) {
		o = &op[i];
		o->kind = (enum ge_op_kind)kind;
		if ((o->site = ge_sites_find(&s, argv[2])) == -1)
			die("no such site");
		if (n > 1)
			snprintf(o->name, sizeof(o->name), "%s.%d", argv[3],
			    i);
		else
			snprintf(o->name, sizeof(o->name), "%s", argv[3]);
		o->replace = replace;
		o->entry = entry;
		if (kind == GE_OP_PUT) {
			o->fd = fd;
			o->len = (uint64_t)st.st_size;
		} else if (kind == GE_OP_GET) {
			if (argc > 4)
				o->off = strtoull(argv[4], NULL, 10);
			o->len = argc > 5 ? strtoull(argv[5], NULL, 10) :
			    64 << 20;
			if ((o->buf = malloc(o->len + 1)) == NULL)
				die("memory");
		}
		ge_op_start(net, o);
		if (cancel) {
			struct timespec ts = { 0, 50000000 };

			nanosleep(&ts, NULL);
			ge_op_cancel(net, o);
		}
	}
	while (patient && !asked) {
		struct timespec ts = { 0, 10000000 };

		nanosleep(&ts, NULL);
	}
	for (i = 0; i < n && patient; i++)
		ge_op_cancel(net, &op[i]);
	while (ge_net_next(net, -1, &o, &e) == 1) {
		if (o->kind == GE_OP_GET && o->result == GE_OP_DONE)
			fwrite(o->buf, 1, o->got, stdout);
		fprintf(stderr, "%s", results[o->result]);
		if (o->size != GE_OP_UNKNOWN)
			fprintf(stderr, " %llu", (unsigned long long)o->size);
		if (o->result != GE_OP_DONE) {
			fprintf(stderr, " %s", o->err.msg);
			rc = 1;
		}
		fprintf(stderr, "\n");
	}
	ge_net_moved(net, &up, &down);
	if (getenv("SITE_MOVED") != NULL)
		fprintf(stderr, "up %llu down %llu\n", (unsigned long long)up,
		    (unsigned long long)down);
	ge_net_close(net);
	ge_sites_release(&s);
	for (i = 0; i < n; i++)
		free(op[i].buf);
	free(op);
	return (rc);
}
