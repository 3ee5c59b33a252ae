#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "site/net_int.h"
#include "util/file.h"

int
ge_cred_home(char *out, size_t cap, const char *name, struct ge_err *e)
{
	const char *home = getenv("HOME");
	int n;

	if (home == NULL || home[0] == '\0')
		home = "/nonexistent";
	n = snprintf(out, cap, "%s/%s", home, name);
	if (n < 0 || (size_t)n >= cap)
		return (ge_fail(e, GE_EUSAGE, "HOME is too long"));
	return (0);
}

int
ge_cred_read(const char *path, int secret, char *buf, size_t cap, size_t *len,
    struct ge_err *e)
{
	struct stat st;

	*len = 0;
	if (stat(path, &st) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			return (0);
		ge_failsys(e, "cannot open '%s'", path);
		e->code = GE_EUSAGE;
		return (-1);
	}
	if (secret && (st.st_mode & 077) != 0)
		return (ge_fail(e, GE_EUSAGE,
		    "'%s' is readable for others (chmod 600)", path));
	if (ge_slurp_into(path, (uint8_t *)buf, cap, len, e) == -1)
		return (-1);
	return (1);
}
