/* Virtual topologies, and collectives between neighbours in their three forms. */
#include "check.h"

static void grids(void)
{
    int dims[2] = {0, 0}, periods[2] = {1, 0}, got_dims[2], got_periods[2], coords[2], number, at,
        status;
    MPI_Comm grid, line, copy;
    MPI_Dims_create(size, 2, dims);
    EQUAL(dims[0] * dims[1], size);
    CHECK(dims[0] >= dims[1]);
    MPI_Cart_create(MPI_COMM_WORLD, 2, dims, periods, 1, &grid);
    MPI_Topo_test(grid, &status);
    EQUAL(status, MPI_CART);
    MPI_Topo_test(MPI_COMM_WORLD, &status);
    EQUAL(status, MPI_UNDEFINED);
    MPI_Comm_dup(grid, &copy);
    MPI_Comm_free(&grid);
    MPI_Cartdim_get(copy, &number);
    EQUAL(number, 2);
    MPI_Cart_get(copy, 2, got_dims, got_periods, coords);
    CHECK(got_dims[0] == dims[0] && got_dims[1] == dims[1] && got_periods[0] && !got_periods[1]);
    CHECK(coords[0] == rank / dims[1] && coords[1] == rank % dims[1]);
    coords[0] += dims[0];
    MPI_Cart_rank(copy, coords, &at);
    EQUAL(at, rank);
    coords[1] = dims[1];
    MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN);
    FAILS(MPI_ERR_ARG, MPI_Cart_rank(copy, coords, &at));
    FAILS(MPI_ERR_TOPOLOGY, MPI_Cartdim_get(MPI_COMM_WORLD, &number));
    int from, to;
    MPI_Cart_shift(copy, 1, 1, &from, &to);
    EQUAL(to, rank % dims[1] == dims[1] - 1 ? MPI_PROC_NULL : rank + 1);
    EQUAL(from, rank % dims[1] == 0 ? MPI_PROC_NULL : rank - 1);
    int remain[2] = {1, 0}, its_size, its_rank;
    MPI_Cart_sub(copy, remain, &line);
    MPI_Comm_size(line, &its_size);
    MPI_Comm_rank(line, &its_rank);
    EQUAL(its_size, dims[0]);
    EQUAL(its_rank, rank / dims[1]);
    MPI_Cart_shift(line, 0, 1, &from, &to);
    EQUAL(to, (its_rank + 1) % its_size);
    MPI_Comm_free(&line);
    MPI_Comm_free(&copy);

    /* Not everybody has a place. */
    int one = 1, ring = 0;
    MPI_Cart_create(MPI_COMM_WORLD, 1, &one, &ring, 0, &grid);
    CHECK((grid == MPI_COMM_NULL) == (rank > 0));
    if (rank == 0)
        MPI_Comm_free(&grid);
    one = size + 1;
    FAILS(MPI_ERR_DIMS, MPI_Cart_create(MPI_COMM_WORLD, 1, &one, &ring, 0, &grid));
    one = 2;
    FAILS(MPI_ERR_DIMS, MPI_Dims_create(3, 1, &one));
}

#define FORM(form, comm, name, lower, ...)                                           \
    do {                                                                             \
        MPI_Request request_;                                                        \
        if (form == 0) {                                                             \
            MPI_Neighbor_##name(__VA_ARGS__, comm);                                  \
        } else if (form == 1) {                                                      \
            MPI_Ineighbor_##name(__VA_ARGS__, comm, &request_);                      \
            MPI_Wait(&request_, MPI_STATUS_IGNORE);                                  \
        } else {                                                                     \
            MPI_Neighbor_##name##_init(__VA_ARGS__, comm, MPI_INFO_NULL, &request_); \
            for (int i_ = 0; i_ < 2; i_++) {                                         \
                MPI_Start(&request_);                                                \
                MPI_Wait(&request_, MPI_STATUS_IGNORE);                              \
            }                                                                        \
            MPI_Request_free(&request_);                                             \
        }                                                                            \
    } while (0)

/* A ring: what goes up arrives from below, on one and on two members, too. */
static void ring(int form)
{
    int one = 1, out[2] = {10 * rank, 10 * rank + 1}, in[2] = {-1, -1}, mine = rank;
    int below = (rank + size - 1) % size, above = (rank + 1) % size;
    MPI_Comm comm;
    MPI_Cart_create(MPI_COMM_WORLD, 1, &size, &one, 0, &comm);
    FORM(form, comm, alltoall, alltoall, out, 1, MPI_INT, in, 1, MPI_INT);
    EQUAL(in[0], 10 * below + 1);
    EQUAL(in[1], 10 * above);
    FORM(form, comm, allgather, allgather, &mine, 1, MPI_INT, in, 1, MPI_INT);
    EQUAL(in[0], below);
    EQUAL(in[1], above);
    MPI_Comm_free(&comm);
    /* A line: the ends have nobody, and their places stay as they are. */
    int none = 0;
    in[0] = in[1] = -1;
    MPI_Cart_create(MPI_COMM_WORLD, 1, &size, &none, 0, &comm);
    FORM(form, comm, alltoall, alltoall, out, 1, MPI_INT, in, 1, MPI_INT);
    EQUAL(in[0], rank > 0 ? 10 * below + 1 : -1);
    EQUAL(in[1], rank + 1 < size ? 10 * above : -1);
    MPI_Comm_free(&comm);
}

/* A star, as a graph that all know and as one that only the middle gives. */
static void stars(int form)
{
    int *index = malloc(size * sizeof *index), *edges = malloc(2 * size * sizeof *edges),
        number = 0, status;
    for (int i = 1; i < size; i++)
        edges[number++] = i;
    index[0] = number;
    for (int i = 1; i < size; i++) {
        edges[number++] = 0;
        index[i] = number;
    }
    MPI_Comm star;
    MPI_Graph_create(MPI_COMM_WORLD, size, index, edges, 0, &star);
    MPI_Topo_test(star, &status);
    EQUAL(status, MPI_GRAPH);
    int nodes, all;
    MPI_Graphdims_get(star, &nodes, &all);
    CHECK(nodes == size && all == number);
    MPI_Graph_neighbors_count(star, rank, &number);
    EQUAL(number, rank ? 1 : size - 1);
    int *in = malloc(size * sizeof *in), mine = 7 * rank;
    FORM(form, star, allgather, allgather, &mine, 1, MPI_INT, in, 1, MPI_INT);
    for (int i = 0; i < number; i++)
        EQUAL(in[i], rank ? 0 : 7 * (i + 1));
    MPI_Comm_free(&star);

    /* Rank 0 gives all edges: one to each other, twice to the last, and one from each to itself. */
    int sources[64], degrees[64], destinations[256], weights[256], n = 0;
    number = 0;
    if (rank == 0) {
        sources[n] = 0;
        degrees[n++] = size;
        for (int i = 1; i < size; i++)
            destinations[number++] = i;
        destinations[number++] = size - 1;
        for (int i = 0; i < size; i++) {
            sources[n] = i;
            degrees[n++] = 1;
            destinations[number++] = i;
        }
        for (int i = 0; i < number; i++)
            weights[i] = 100 + i;
    }
    MPI_Dist_graph_create(MPI_COMM_WORLD, n, sources, degrees, destinations, weights, MPI_INFO_NULL,
                          0, &star);
    int indegree, outdegree, weighted, from[8], from_weights[8], to[80], to_weights[80];
    MPI_Dist_graph_neighbors_count(star, &indegree, &outdegree, &weighted);
    CHECK(weighted);
    EQUAL(indegree, (rank > 0) + (rank == size - 1) + 1);
    EQUAL(outdegree, rank ? 1 : size + 1);
    MPI_Dist_graph_neighbors(star, 8, from, from_weights, 80, to, to_weights);
    for (int i = 0; i < outdegree; i++)
        EQUAL(to_weights[i], 100 + (rank ? size + rank : i));
    /* Blocks of different lengths: edge k of a member has k + 1 integers, by types of their own. */
    int counts[80], places[80], in_counts[8], in_places[8], out[4096], data[4096], end = 0;
    MPI_Aint bytes[80], in_bytes[8];
    MPI_Datatype types[80], in_types[8];
    for (int i = 0; i < outdegree; i++) {
        counts[i] = i + 1;
        places[i] = end;
        bytes[i] = 4 * end;
        types[i] = MPI_INT;
        for (int j = 0; j < counts[i]; j++)
            out[end++] = 1000 * rank + i;
    }
    /* Edge i of rank 0 leads to i + 1, the one after the last to the last again; the last edge of
     * each member to itself. */
    end = 0;
    for (int i = 0; i < indegree; i++) {
        int own = from[i] == rank && i == indegree - 1, second = i == 1 || size == 1;
        int number = own ? (rank ? 0 : size) : second ? size - 1 : rank - 1;
        in_counts[i] = number + 1;
        in_places[i] = end;
        in_bytes[i] = 4 * end;
        in_types[i] = MPI_INT;
        end += in_counts[i];
    }
    memset(data, -1, sizeof data);
    FORM(form, star, alltoallv, alltoallv, out, counts, places, MPI_INT, data, in_counts, in_places,
         MPI_INT);
    for (int i = 0; i < indegree; i++)
        for (int j = 0; j < in_counts[i]; j++)
            EQUAL(data[in_places[i] + j], 1000 * from[i] + in_counts[i] - 1);
    memset(data, -1, sizeof data);
    FORM(form, star, alltoallw, alltoallw, out, counts, bytes, types, data, in_counts, in_bytes,
         in_types);
    for (int i = 0; i < indegree; i++)
        for (int j = 0; j < in_counts[i]; j++)
            EQUAL(data[in_places[i] + j], 1000 * from[i] + in_counts[i] - 1);
    MPI_Comm_free(&star);

    /* Everybody gives its own: from the one below, to the one above. */
    int below = (rank + size - 1) % size, above = (rank + 1) % size, two = 2, zero = 0, got[2];
    MPI_Dist_graph_create_adjacent(MPI_COMM_WORLD, 1, &below, MPI_UNWEIGHTED, 1, &above,
                                   MPI_UNWEIGHTED, MPI_INFO_NULL, 0, &star);
    MPI_Dist_graph_neighbors_count(star, &indegree, &outdegree, &weighted);
    CHECK(indegree == 1 && outdegree == 1 && !weighted);
    int pair[2] = {rank, -rank};
    FORM(form, star, allgatherv, allgatherv, pair, 2, MPI_INT, got, &two, &zero, MPI_INT);
    CHECK(got[0] == below && got[1] == -below);
    MPI_Comm_free(&star);
    free(index);
    free(edges);
    free(in);
}

int main(int argc, char **argv)
{
    start(&argc, &argv);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    grids();
    for (int form = 0; form < 3; form++) {
        ring(form);
        stars(form);
    }
    int value = 0, counts[2] = {1, 1}, wrong[2] = {2, 2}, places[2] = {0, 2}, data[4], once = 1;
    if (size == 1) {
        MPI_Comm self;
        MPI_Cart_create(MPI_COMM_WORLD, 1, &once, &once, 0, &self);
        MPI_Comm_set_errhandler(self, MPI_ERRORS_RETURN);
        FAILS(MPI_ERR_COUNT, MPI_Neighbor_alltoallv(data, counts, places, MPI_INT, data, wrong,
                                                    places, MPI_INT, self));
        MPI_Comm_free(&self);
    }
    FAILS(MPI_ERR_TOPOLOGY,
          MPI_Neighbor_allgather(&value, 1, MPI_INT, &value, 1, MPI_INT, MPI_COMM_WORLD));
    return finish();
}
