/*
 * The release chain between one client, its key servers and a network that loses, doubles, delays and reorders, for spin.
 * README.md beside this file says what is claimed, what is left out, and how to run it by hand. In short:
 *
 *   LINKS, MESSAGES     how many links may be issued (the one of enrolment counts; 4 to 8) and how many messages the
 *                       honest client may send (4 to 11)
 *   SERVERS             key servers on one database, 1 or 2
 *   COPY                the client's disk is copied at some moment; the copy says whatever it knows, as often as it likes
 *   GUESSER             somebody with the client's token but without a link of it joins in
 *   CLOCKS              clocks are modelled: without, the order of sending is the time, and any message may be too late
 *   LEAD, HORIZON       with CLOCKS: by how much the client's clock may be ahead; how far time goes
 *   LIFETIME            with CLOCKS: for how long a message can be under way; the client goes back from stamps that are
 *                       far ahead, and messages may be sent at the same moment
 *   LOCK                a fork locks the client; without, the policy is "alert" and everything goes on
 *   KEEP_OLD            messages that can only be stale are kept on the line all the same
 *   MUTANT_…            one thing done wrong; LIMIT_…: something the protocol does not promise. Each breaks a claim
 *   TABLES              no run at all: prints what the decisions are, for a comparison with chain.ts
 */
#ifndef LINKS
#define LINKS 5
#endif
#ifndef MESSAGES
#define MESSAGES 7
#endif
#ifndef SERVERS
#define SERVERS 1
#endif
#if defined(MUTANT_NO_STALE) || defined(MUTANT_UNSERIALISED)
#define KEEP_OLD
#endif

/* Words of chain.ts. Promela has one name space, so `unknown` and `release` stand once and serve everywhere. */
mtype = { confirmed, pending, spent, unknown };                     /* Standing; `unknown` is a decision as well */
mtype = { fresh, skewed, repeated };                                /* Freshness */
mtype = { issue, promote_and_issue, release, fork, stale, alive };  /* decisions */
mtype = { open, heartbeat };                                        /* messages, beside `release` */

/* ChainCounters; what chain.ts calls `confirmed` has a longer name here because the standing took it. */
typedef ChainCounters { byte issued; byte confirmedLink; byte spentTo };

/* The functions of chain.ts. Links are numbered from 1; 0 is a link this client was never given. */

inline standingOf(number, counters) {
  if
  :: number == 0 -> standing = unknown
  :: number != 0 && number == counters.confirmedLink -> standing = confirmed
  :: number != 0 && number != counters.confirmedLink && number > counters.spentTo -> standing = pending
  :: else -> standing = spent
  fi
}

inline promoted(number, counters) {
  counters.confirmedLink = number;
#ifdef MUTANT_PENDING_SURVIVES
  counters.spentTo = number
#else
  counters.spentTo = counters.issued
#endif
}

inline issuedOne(counters) {
  counters.issued = counters.issued + 1
}

/* isSkewed: not within clockTolerance of the server's clock. isSpent, at: whether the link is spent, and by a message of when */
inline freshnessOf(isSkewed, stamp, last, isSpent, at) {
  if
  :: isSkewed -> freshness = skewed
#ifdef MUTANT_NO_STALE
  :: else -> freshness = fresh
#else
  :: !(isSkewed) && stamp > last -> freshness = fresh
#ifdef MUTANT_NO_SPENT_TIME
  :: !(isSkewed) && stamp <= last -> freshness = repeated
#else
  :: !(isSkewed) && stamp <= last && isSpent && stamp > at -> freshness = fresh
  :: !(isSkewed) && stamp <= last && !((isSpent) && stamp > at) -> freshness = repeated
#endif
#endif
  fi
}

inline decideOpen(is, when) {
  if
  :: when != fresh -> decision = stale
  :: else ->
    if
    :: is == unknown -> decision = unknown
    :: is == spent -> decision = fork
#ifdef MUTANT_PENDING_IS_FORK
    :: is == pending -> decision = fork
#else
    :: is == pending -> decision = promote_and_issue
#endif
    :: is == confirmed -> decision = issue
    fi
  fi
}

inline decideRelease(is, when, sessionHolds) {
  if
  :: when != fresh -> decision = stale
  :: else ->
    if
    :: is == unknown -> decision = unknown
    :: is == spent -> decision = fork
#ifdef MUTANT_ANSWERS_AGAIN
    :: is == confirmed -> decision = release
#else
    :: is == confirmed -> decision = fork
#endif
#ifdef MUTANT_NO_SESSION
    :: is == pending -> decision = release
#else
    :: is == pending && sessionHolds -> decision = release
    :: is == pending && !(sessionHolds) -> decision = stale
#endif
    fi
  fi
}

inline decideHeartbeat(is, when, proven) {
  if
  :: when != fresh -> decision = stale
  :: else ->
    if
    :: is == unknown || !(proven) -> decision = unknown
    :: else ->
      if
      :: is == spent -> decision = fork
      :: else -> decision = alive
      fi
    fi
  fi
}

#define TOLERANCE 2              /* clockTolerance */

#ifdef TABLES
/* One line for each thing the functions above can be asked. */
init {
  ChainCounters counters; byte number, flag;
  mtype is, when, standing, decision, freshness;
  byte stamp, last, now, at;
  for (stamp : 1 .. 6) {
    for (last : 0 .. 6) {
      for (now : 1 .. 6) {
        for (at : 0 .. 6) {
          for (flag : 0 .. 1) {
            freshnessOf(stamp > now + TOLERANCE || now > stamp + TOLERANCE, stamp, last, flag, at);
            printf("freshness %d %d %d %d %d = %e\n", stamp, last, now, flag, at, freshness)
          }
        }
      }
    }
  }
  for (is : unknown .. confirmed) {
    for (when : repeated .. fresh) {
      decideOpen(is, when);
      printf("decideOpen %e %e = %e\n", is, when, decision);
      for (flag : 0 .. 1) {
        decideRelease(is, when, flag);
        printf("decideRelease %e %e %d = %e\n", is, when, flag, decision);
        decideHeartbeat(is, when, flag);
        printf("decideHeartbeat %e %e %d = %e\n", is, when, flag, decision)
      }
    }
  }
  byte issued, confirmedLink, spentTo;
  for (issued : 1 .. 4) {
    for (spentTo : 0 .. issued) {
      for (confirmedLink : 0 .. spentTo) {
        for (number : 0 .. issued) {
          counters.issued = issued; counters.confirmedLink = confirmedLink; counters.spentTo = spentTo;
          standingOf(number, counters);
          printf("standingOf %d %d %d %d = %e\n", number, issued, confirmedLink, spentTo, standing);
          if
          :: number > 0 ->
            promoted(number, counters);
            printf("promoted %d %d %d %d = %d %d %d\n", number, issued, confirmedLink, spentTo,
              counters.issued, counters.confirmedLink, counters.spentTo)
          :: else
          fi;
          counters.issued = issued; counters.confirmedLink = confirmedLink; counters.spentTo = spentTo;
          issuedOne(counters);
          printf("issuedOne %d %d %d = %d %d %d\n", issued, confirmedLink, spentTo,
            counters.issued, counters.confirmedLink, counters.spentTo)
        }
      }
    }
  }
}
#else

#define bit(number) (1 << (number))

/* pan names the claim that broke, by this name. */
#define claim(name, holds) name = (holds); assert(name)
hidden byte an_honest_client_alone_is_never_a_fork;
hidden byte a_guess_is_never_a_fork;
hidden byte the_host_is_told_at_its_next_message;
hidden byte the_copy_is_told_at_its_next_message;
hidden byte no_key_without_its_record;
hidden byte state_never_goes_back;
hidden byte one_link_pays_once;
hidden byte a_locked_client_gets_nothing;
hidden byte no_clock_hides_a_copy;

/* ---- the database: what survives every crash */

ChainCounters chain;
byte lastTime;
byte spentAt[LINKS + 1];         /* the time of the message that spent the link of that number; 0 before */
bool locked;
short audit;                     /* set of links with a record key_released */

/* ---- the servers' memory */

short sessions[SERVERS];         /* set of links whose session is held; an open issues one link and one session */
typedef Answer { mtype to; byte link; byte by };
Answer owed[MESSAGES + 1];       /* what was committed for the message of that number and is not sent yet */

/* ---- the line between the honest host and the servers */

typedef Message {
  mtype kind;                    /* 0: not there */
  byte link;
#ifdef CLOCKS
  byte time
#endif
#ifdef LIFETIME
  ; byte at                      /* when it was sent */
#endif
};
Message line[MESSAGES + 1];      /* a message stays, to arrive once more, until it can only be stale */
byte sent;                       /* messages so far; each has a number from 1 */

#ifdef CLOCKS
#ifndef HORIZON
#define HORIZON 9
#endif
#ifndef LEAD
#define LEAD 0
#endif
byte now = 1;
byte lead;                       /* by how much the host's clock is ahead */
byte hostTime;                   /* on its disk: the time of its last message */
/* rebase(): the furthest ahead its stamps stay once the server told its time. */
#ifdef MUTANT_REBASES_AT_ONCE
#define rebased now
#else
#define rebased (now + TOLERANCE + LIFETIME)
#endif
#define timeOf(number) line[number].time
#define newestStamp hostTime
#define maySend (sent < MESSAGES && now < HORIZON)
#else
#define timeOf(number) number
#define newestStamp sent
#define maySend (sent < MESSAGES)
#endif

/* Was under way for longer than it can be. */
#if defined(LIFETIME) && !defined(LIMIT_LATE)
#define isGone(number) (now > line[number].at + LIFETIME)
#else
#define isGone(number) false
#endif

/* ---- the honest host: link.json, and one exchange at a time under the host's lock */

byte current, next;              /* on disk; no next: 0 */
mtype = { idle, opening, kept, releasing };
mtype phase = idle;              /* in memory */
byte waitingFor;                 /* in memory: number of the message whose answer it waits for */
#define newest ((next != 0) * next + (next == 0) * current)

#ifdef MUTANT_STORES_LATE
byte inMemory;                   /* a next that is not on disk yet */
#define toPay inMemory
#else
#define toPay next
#endif

/* ---- the other holder. It needs no line: whatever delay it likes, it makes itself */

short copied;                    /* set of links on the disk that was copied; 0 before */
short known;                     /* set of links it has */
short itsSessions;               /* set of links whose session it has */

/* Was paid, since the copy was made, with a link that the other does not have. */
bool hostPaid, copyPaid;
#ifdef COPY
byte copyPaidAt;                 /* the time of the message by which that was first */
#endif

/* ---- sending */

inline send(what, which) {
  sent++;
  line[sent].kind = what;
  line[sent].link = which;
#ifdef CLOCKS
#ifndef LIFETIME
  now++;
#endif
  if
  :: now + lead > hostTime -> hostTime = now + lead
  :: else -> hostTime++
  fi;
  line[sent].time = hostTime
#ifdef LIFETIME
  ; line[sent].at = now
#endif
#endif
}

inline forget(number) {
  line[number].kind = 0;
#ifdef CLOCKS
  line[number].time = 0;
#endif
#ifdef LIFETIME
  line[number].at = 0;
#endif
  line[number].link = 0
}

#ifdef CLOCKS
#define isOver(number) (now > line[number].time + TOLERANCE || isGone(number))
#else
#define isOver(number) false
#endif

/*
 * What is not later than the last message judged is stale whatever it says, but for a link that was spent before it was
 * sent: nothing can come of it any more. (What spends a link is later than all that was judged before.) And a time that
 * every message is later than, those to come and those on the line, need not be known.
 */
inline forgetOld() {
#ifndef KEEP_OLD
  i = 1;
  do
  :: i <= sent ->
    if
    :: line[i].kind != 0 && (timeOf(i) <= lastTime || isOver(i)) ->
      standingOf(line[i].link, chain);
      if
      :: standing == spent && timeOf(i) > spentAt[line[i].link] && !isOver(i) -> skip
      :: else -> forget(i)
      fi
    :: else
    fi;
    i++
  :: else -> break
  od;
#ifndef MUTANT_REBASES_AT_ONCE                                                 /* its stamps fall below such times */
  i = 1;
  do
  :: i <= LINKS ->
    if
    :: spentAt[i] <= newestStamp -> spentAt[i] = 0
    :: else
    fi;
    i++
  :: else -> break
  od;
#ifdef COPY
  if
  :: copyPaidAt <= newestStamp -> copyPaidAt = 0
  :: else
  fi;
#endif
#endif
  i = 0
#else
  skip
#endif
}

/* ---- a transaction reads, judges and writes. A crash before its end leaves nothing, as if the message had not come yet */

inline read() {
  seen.issued = chain.issued;
  seen.confirmedLink = chain.confirmedLink;
  seen.spentTo = chain.spentTo;
#ifndef MUTANT_IGNORES_LOCK
  seenLocked = locked;
#endif
  seenTime = lastTime;
  seenSpentAt = spentAt[link]
}

inline judge() {
  standingOf(link, seen);
  if
  :: who != HOST -> freshness = fresh                                          /* its time was chosen so */
#ifdef CLOCKS
  :: who == HOST ->
    freshnessOf(time > now + TOLERANCE || now > time + TOLERANCE, time, seenTime, standing == spent, seenSpentAt)
#else
  :: who == HOST -> freshnessOf(tooLate, time, seenTime, standing == spent, seenSpentAt)
#endif
  fi;
  if
  :: kind == open -> decideOpen(standing, freshness)
  :: kind == release -> decideRelease(standing, freshness, backed && !tooLate && (sessions[me] & bit(link)) != 0)
#ifdef MUTANT_NO_PROOF
  :: kind == heartbeat -> decideHeartbeat(standing, freshness, true)
#else
  :: kind == heartbeat -> decideHeartbeat(standing, freshness, backed)
#endif
  fi
}

/* What is promised of a decision. A client that is locked is told so, whatever it sends. */
inline checkDecision() {
  if
#ifdef COPY
  :: who == HOST && copyPaid && decision != stale ->
    claim(the_host_is_told_at_its_next_message, decision == fork || seenLocked)
  :: who == HOST && copyPaid && decision == stale && freshness != skewed ->
    claim(no_clock_hides_a_copy, time <= copyPaidAt || seenLocked)
  :: who == COPIER && hostPaid && decision != stale ->
    claim(the_copy_is_told_at_its_next_message, decision == fork || seenLocked)
#else
  :: who == HOST -> claim(an_honest_client_alone_is_never_a_fork, decision != fork && decision != unknown)
#endif
  :: who == STRANGER -> claim(a_guess_is_never_a_fork, decision == unknown)
  :: else
  fi
}

/* Writes the chain, and looks whether anything that was over is not over any more. */
inline commitChain() {
  before.issued = chain.issued;
  before.confirmedLink = chain.confirmedLink;
  before.spentTo = chain.spentTo;
  chain.issued = seen.issued;
  chain.confirmedLink = seen.confirmedLink;
  chain.spentTo = seen.spentTo;
  claim(state_never_goes_back, chain.issued >= before.issued && chain.confirmedLink >= before.confirmedLink
    && chain.spentTo >= before.spentTo);
  i = 1;
  do
  :: i <= before.issued ->
    standingOf(i, before);
    if
    :: standing == spent ->
      standingOf(i, chain);
      claim(state_never_goes_back, standing == spent)
    :: else ->
      standingOf(i, chain);
      if
      :: standing == spent -> spentAt[i] = time
      :: else
      fi
    fi;
    i++
  :: else -> break
  od;
  before.issued = 0;
  before.confirmedLink = 0;
  before.spentTo = 0
}

inline commitTime() {
#ifndef MUTANT_NO_STALE
  claim(state_never_goes_back, time > lastTime || (time == lastTime && who != HOST) || decision == fork);
#endif
  if
  :: time > lastTime -> lastTime = time
  :: else
  fi;
  forgetOld()
}

/* The release is committed; with a link that the other holder has too, it tells nothing yet. */
inline pay(which) {
  claim(one_link_pays_once, (audit & bit(which)) == 0);
  claim(a_locked_client_gets_nothing, !locked);
#ifndef MUTANT_SENDS_FIRST
  audit = audit | bit(which);
#endif
  if
  :: who == COPIER ->
#ifdef COPY
    if
    :: !copyPaid -> copyPaidAt = time
    :: else
    fi;
#endif
    copyPaid = true
  :: who == HOST && copied != 0 && (copied & bit(which)) == 0 -> hostPaid = true
  :: else
  fi
}

/* The key leaves. */
inline sendKey(which) {
  claim(no_key_without_its_record, (audit & bit(which)) != 0);
  sessions[me] = sessions[me] & ~bit(which);
#ifdef MUTANT_SENDS_FIRST
  audit = audit | bit(which)
#endif
}

/* An answer to the host is sent later, if at all; not when it has given up, because then it changes nothing. */
inline owe(what, which) {
  if
  :: who == HOST && waitingFor == n -> owed[n].to = what; owed[n].link = which; owed[n].by = me + 1
  :: who == COPIER && what == open ->
    sessions[me] = sessions[me] | bit(which);
    itsSessions = itsSessions | bit(which);
    known = known | bit(which)
  :: who == COPIER && what == release -> sendKey(which)
  :: else
  fi
}

inline settle(number) {
  owed[number].to = 0;
  owed[number].link = 0;
  owed[number].by = 0
}

inline act() {
  if
  :: decision == stale && freshness != fresh ->
#ifdef LIFETIME
    if
    :: who == HOST && freshness == skewed && n == sent && hostTime > rebased -> hostTime = rebased
    :: else
    fi;
#endif
    skip
  :: decision == unknown -> skip
  :: decision == stale && freshness == fresh -> commitTime()                   /* its session is not there */
  :: decision == alive -> commitTime()
  :: decision == fork ->
#ifdef LOCK
    locked = true;
#endif
    commitTime()
  :: decision == issue || decision == promote_and_issue ->
    if
    :: seenLocked -> commitTime()
    :: !seenLocked && seen.issued >= LINKS -> skip                             /* the model ends here */
    :: else ->
      if
      :: decision == promote_and_issue -> promoted(link, seen)
      :: else
      fi;
      issuedOne(seen);
      commitChain();
#ifdef MUTANT_ONE_STEP
      pay(seen.issued);
      sendKey(seen.issued);
#endif
      owe(open, seen.issued);
      commitTime()
    fi
  :: decision == release ->
    if
    :: seenLocked -> commitTime()
    :: else ->
      promoted(link, seen);
      commitChain();
      pay(link);
      owe(release, link);
      commitTime()
    fi
  fi;
  /* a session whose link is spent cannot matter any more */
  i = 0;
  do
  :: i < SERVERS -> sessions[i] = (sessions[i] >> (chain.spentTo + 1)) << (chain.spentTo + 1); i++
  :: else -> break
  od
}

/* Sends what was committed. */
inline answer() {
  if
  :: owed[n].to == open ->
    sessions[me] = sessions[me] | bit(owed[n].link);
#ifdef MUTANT_STORES_LATE
    inMemory = owed[n].link;
#else
    current = newest;                                                          /* keep(): both links, on disk */
    next = owed[n].link;
#endif
    phase = kept
  :: owed[n].to == release ->
    sendKey(owed[n].link);
    current = owed[n].link;                                                    /* advance() */
    next = 0;
    phase = idle
  fi;
  waitingFor = 0;
  settle(n);
  n = 0
}

/* Loses the sessions and the answers that were not sent yet; what was committed stays. */
inline crash() {
  sessions[me] = 0;
  i = 1;
  do
  :: i <= sent ->
    if
    :: owed[i].by == me + 1 -> settle(i)
    :: else
    fi;
    i++
  :: else -> break
  od;
  i = 0
}

#define came(number) line[number].kind != 0 && !isGone(number) -> n = number
#define isOwed(number) owed[number].by == me + 1 -> n = number
#define has(number) (known & bit(number)) != 0 -> link = number

/* Nothing serialises two transactions: another server's may come between reading and writing. */
#ifdef MUTANT_UNSERIALISED
#define GAP }; atomic {
#else
#define GAP
#endif

mtype = { HOST, COPIER, STRANGER };

proctype server(byte me) {
  mtype who, kind; byte n, link, time; bool backed;                            /* the message in hand */
  bool tooLate;                                                                /* by over 60 s; a session's 10 s are over */
  ChainCounters seen; byte seenTime, seenSpentAt; bool seenLocked;                          /* the database as it was read */
  mtype freshness, standing, decision;
  ChainCounters before; byte i;
end:
  do
  :: atomic {
      if
      :: if
        :: came(1) :: came(2) :: came(3) :: came(4)
#if MESSAGES > 4
        :: came(5)
#endif
#if MESSAGES > 5
        :: came(6)
#endif
#if MESSAGES > 6
        :: came(7)
#endif
#if MESSAGES > 7
        :: came(8)
#endif
#if MESSAGES > 8
        :: came(9)
#endif
#if MESSAGES > 9
        :: came(10)
#endif
#if MESSAGES > 10
        :: came(11)
#endif
        fi;
        who = HOST; kind = line[n].kind; link = line[n].link; time = timeOf(n); backed = true
#ifdef COPY
      :: known != 0 ->
        who = COPIER;
        if
        :: has(1) :: has(2) :: has(3) :: has(4)
#if LINKS > 4
        :: has(5)
#endif
#if LINKS > 5
        :: has(6)
#endif
#if LINKS > 6
        :: has(7)
#endif
#if LINKS > 7
        :: has(8)
#endif
        fi;
        if
        :: kind = open
        :: kind = release; backed = (itsSessions & bit(link)) != 0
        :: kind = heartbeat; backed = true
        fi;
        /* later than the last message judged, and than the host's of the same number or stamp, before the next one */
        time = lastTime;
#ifdef CLOCKS
        if
        :: time < now -> time = now
        :: else
        fi;
        if
        :: time = now + TOLERANCE
        :: skip
        fi
#else
        do
        :: time < sent -> time++
        :: break
        od
#endif
#endif
#ifdef GUESSER
      :: who = STRANGER; kind = open
      :: who = STRANGER; kind = release; backed = true
      :: who = STRANGER; kind = heartbeat;
        do
        :: link < chain.issued -> link++
        :: break
        od
#endif
      fi;
      if
      :: who == HOST -> tooLate = true
      :: tooLate = false
      fi;
      d_step { read() };
      GAP
      d_step { judge(); checkDecision(); act() };
      if                                                                       /* so that pan tells which came up */
      :: decision == issue -> skip
      :: decision == promote_and_issue -> skip
      :: decision == release -> skip
      :: decision == fork -> skip
      :: decision == stale && freshness == fresh -> skip
      :: decision == stale && freshness == repeated -> skip
      :: decision == stale && freshness == skewed -> skip
      :: decision == unknown -> skip
      :: decision == alive -> skip
      fi;
      d_step {
        who = 0; kind = 0; n = 0; link = 0; time = 0; backed = false; tooLate = false;
        seen.issued = 0; seen.confirmedLink = 0; seen.spentTo = 0; seenTime = 0; seenSpentAt = 0; seenLocked = false;
        freshness = 0; standing = 0; decision = 0; i = 0
      }
    }
  :: atomic {
      if
      :: isOwed(1) :: isOwed(2) :: isOwed(3) :: isOwed(4)
#if MESSAGES > 4
      :: isOwed(5)
#endif
#if MESSAGES > 5
      :: isOwed(6)
#endif
#if MESSAGES > 6
      :: isOwed(7)
#endif
#if MESSAGES > 7
      :: isOwed(8)
#endif
#if MESSAGES > 8
      :: isOwed(9)
#endif
#if MESSAGES > 9
      :: isOwed(10)
#endif
#if MESSAGES > 10
      :: isOwed(11)
#endif
      fi;
      d_step { answer() }
    }
  :: d_step { true -> crash() }
  od
}

/* The app: open, keep, release, advance; after any doubt from the beginning, with the newest link on disk. */
proctype host() {
end:
  do
  :: d_step { phase == idle && maySend -> send(open, newest); phase = opening; waitingFor = sent }
  :: d_step { phase == kept && maySend -> send(release, toPay); phase = releasing; waitingFor = sent }
  :: d_step { phase == idle && maySend -> send(heartbeat, newest) }
  /* a crash, no answer in time, or a refusal */
  :: d_step { phase != idle ->
      settle(waitingFor);
      waitingFor = 0;
#ifdef MUTANT_STORES_LATE
      inMemory = 0;
#endif
      phase = idle
    }
#ifdef CLOCKS
  :: lead < LEAD -> lead = LEAD
  :: lead != 0 -> lead = 0
#endif
  od
}

#ifdef MUTANT_BEATS_UNLOCKED
/* A heartbeat that takes link and time without the lock that an exchange holds. */
proctype beat() {
  byte link;
end:
  do
  :: atomic { link == 0 -> link = newest }
  :: atomic { link != 0 && maySend -> send(heartbeat, link); link = 0 }
  od
}
#endif

#ifdef COPY
/* Takes the disk, at any moment. */
proctype copier() {
end:
  atomic {
    copied = bit(current);
    if
    :: next != 0 -> copied = copied | bit(next)
    :: else
    fi;
#ifdef LIMIT_MEMORY_COPY
    if
    :: phase == kept -> itsSessions = bit(next)
    :: else
    fi;
#endif
    known = copied
  }
}
#endif

#ifdef CLOCKS
proctype clock() {
  byte i; mtype standing;
end:
  do
  :: d_step { now < HORIZON -> now++; forgetOld(); standing = 0 }
  od
}
#endif

init {
  atomic {
    chain.issued = 1;                                                          /* startChain() */
    chain.confirmedLink = 1;
    chain.spentTo = 1;
    current = 1;
#ifdef CLOCKS
    run clock();
#endif
    run server(0);
#if SERVERS > 1
    run server(1);
#endif
#ifdef COPY
    run copier();
#endif
#ifdef MUTANT_BEATS_UNLOCKED
    run beat();
#endif
    run host()
  }
}
#endif
