// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
//
// Tells of packets that the kernel drops, and why, in chosen network namespaces.
//
// `./build` makes drops.bpf.o of it, which is kept beside it. Whoever loads that object puts in the places of fields that
// the running kernel has (BTF, CO-RE), and makes the maps: their sizes here are what the program relies on.

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

// The kernel's types, of which only the named fields count. Places and sizes are those of the running kernel.
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common { __u32 inum; };
struct net { struct ns_common ns; };
typedef struct { struct net *net; } possible_net_t;
struct net_device { int ifindex; possible_net_t nd_net; };
struct sock_common { possible_net_t skc_net; };
struct sock { struct sock_common __sk_common; };
struct dst_entry { struct net_device *dev; };
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst;
	__u32 len;
	int skb_iif;
	__u16 protocol;
	__u16 network_header;
	__u32 tail;
	__u8 *head;
};
#pragma clang attribute pop

// linux/bpf.h: numbers of helpers.
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static __u64 (*ktime_get_ns)(void) = (void *)5;
static long (*probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;
static void *(*ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static void (*ringbuf_discard)(void *record, __u64 flags) = (void *)133;

// What a map is made with, as libbpf and bpftool read it.
#define UINT(name, value) int (*name)[value]
enum { HASH = 1, ARRAY = 2, RINGBUF = 27 };

struct { UINT(type, RINGBUF); UINT(max_entries, 1 << 20); } events SEC(".maps");
// The inodes of the namespaces that are asked about.
struct { UINT(type, HASH); UINT(max_entries, 8192); UINT(key_size, 4); UINT(value_size, 1); } namespaces SEC(".maps");
// The addresses of a flow, IPv4 ones as ::ffff:a.b.c.d.
struct { UINT(type, HASH); UINT(max_entries, 64); UINT(key_size, 16); UINT(value_size, 1); } addresses SEC(".maps");
// [0]: whether only packets from or to one of the addresses count. [1]: how many records found no room.
struct { UINT(type, ARRAY); UINT(max_entries, 2); UINT(key_size, 4); UINT(value_size, 8); } numbers SEC(".maps");

enum kind { DROPPED, SENT, RECEIVED };
enum { BYTES_MAX = 192 };

struct record {
	__u64 time_ns; // CLOCK_MONOTONIC
	__u64 skb;
	__u64 location;
	__u32 reason;
	__u32 netns;
	__u32 ifindex;
	__u32 len;
	__u16 protocol; // Ethernet type, in network order
	__u8 kind;
	__u8 count; // of bytes
	__u32 unused;
	union {
		__u8 bytes[BYTES_MAX]; // from the network header on
		__u32 words[BYTES_MAX / 4];
	};
};

INLINE struct net_device *device(const struct sk_buff *skb)
{
	struct net_device *dev = skb->dev;
	struct dst_entry *dst;

	if (dev)
		return dev;
	// The lowest bit says whether it is counted (SKB_DST_NOREF).
	dst = (struct dst_entry *)(skb->_skb_refdst & ~1UL);
	if (dst)
		probe_read_kernel(&dev, sizeof(dev), &dst->dev);
	return dev;
}

INLINE __u32 inode(const struct net *net)
{
	__u32 inum = 0;

	if (net)
		probe_read_kernel(&inum, sizeof(inum), &net->ns.inum);
	return inum;
}

INLINE int is_of_flow(const struct record *record)
{
	__u32 first = 0;
	__u64 *has_addresses = map_lookup(&numbers, &first);
	struct { __u32 words[4]; } key[2] = {};

	if (!has_addresses || !*has_addresses)
		return 1;
	if (record->protocol == 0xdd86) {
		for (int i = 0; i < 4; i++) {
			key[0].words[i] = record->words[2 + i];
			key[1].words[i] = record->words[6 + i];
		}
	} else {
		int is_arp = record->protocol == 0x0608;

		key[0].words[2] = key[1].words[2] = 0xffff0000;
		key[0].words[3] = record->words[3];
		key[1].words[3] = is_arp ? record->words[6] : record->words[4];
		if (is_arp)
			__builtin_memcpy(&key[0].words[3], record->bytes + 14, 4);
	}
	return map_lookup(&addresses, &key[0]) || map_lookup(&addresses, &key[1]);
}

INLINE int tell(struct sk_buff *skb, enum kind kind, __u64 location, __u32 reason)
{
	struct net_device *dev = device(skb);
	struct net *net = 0;
	struct sock *sk = skb->sk;
	struct record *record;
	__u32 netns, start, end, count;

	if (dev)
		probe_read_kernel(&net, sizeof(net), &dev->nd_net.net);
	else if (sk)
		probe_read_kernel(&net, sizeof(net), &sk->__sk_common.skc_net.net);
	netns = inode(net);
	if (!netns || !map_lookup(&namespaces, &netns))
		return 0;
	record = ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		__u32 second = 1;
		__u64 *lost = map_lookup(&numbers, &second);

		if (lost)
			__sync_fetch_and_add(lost, 1);
		return 0;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->time_ns = ktime_get_ns();
	record->skb = (__u64)skb;
	record->location = location;
	record->reason = reason;
	record->netns = netns;
	record->len = skb->len;
	record->protocol = skb->protocol;
	record->kind = kind;
	if (dev)
		probe_read_kernel(&record->ifindex, sizeof(record->ifindex), &dev->ifindex);
	start = skb->network_header;
	end = skb->tail;
	count = end - start;
	// Without a network header there is nothing to read; what is shorter than the room is read as it is.
	if (start != 0xffff && start < end) {
		if (count > BYTES_MAX)
			count = BYTES_MAX;
		// The verifier has to see the limit; the compiler knows it already and would leave it out.
		asm volatile("" : "+r"(count));
		count &= 0xff;
		if (count <= BYTES_MAX && !probe_read_kernel(record->bytes, count, skb->head + start))
			record->count = count;
	}
	if (is_of_flow(record))
		ringbuf_submit(record, 0);
	else
		ringbuf_discard(record, 0);
	return 0;
}

SEC("tp_btf/kfree_skb")
int dropped(__u64 *args)
{
	return tell((struct sk_buff *)args[0], DROPPED, args[1], args[2]);
}

SEC("tp_btf/net_dev_queue")
int sent(__u64 *args)
{
	return tell((struct sk_buff *)args[0], SENT, 0, 0);
}

SEC("tp_btf/netif_receive_skb")
int received(__u64 *args)
{
	return tell((struct sk_buff *)args[0], RECEIVED, 0, 0);
}

SEC("license") char licence[] = "Dual MIT/GPL";
