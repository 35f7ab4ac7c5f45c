//! Accounts out of passwd(5) and group(5).

/// Who a program is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name of the user.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// First group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Home folder.
    pub home: String,
    /// Shell.
    pub shell: String,
}

/// The accounts of a node: the texts of `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, Copy)]
pub struct Accounts<'a> {
    /// `/etc/passwd`.
    pub passwd: &'a str,
    /// `/etc/group`.
    pub group: &'a str,
}

impl Accounts<'_> {
    /// The account of a user, by name or number.
    ///
    /// ```
    /// use netyard_core::unit::Accounts;
    /// let accounts = Accounts { passwd: "frr:x:105:109::/:/bin/sh\n", group: "frr:x:109:\nfrrvty:x:108:frr\n" };
    /// let frr = accounts.user("frr").unwrap();
    /// assert_eq!((frr.uid, frr.gid, frr.groups), (105, 109, vec![109, 108]));
    /// ```
    #[must_use]
    pub fn user(&self, name: &str) -> Option<Account> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let line =
            self.passwd.lines().map(fields).find(|f| f.len() >= 7 && (f[0] == name || f[2] == name))?;
        let gid = line[3].parse().ok()?;
        let is_member = |members: &str| members.split(',').any(|member| member == line[0]);
        let mut groups = vec![gid];
        for group in self.group.lines().map(fields).filter(|f| f.len() >= 4 && is_member(&f[3])) {
            groups.extend(group[2].parse::<u32>().ok().filter(|id| *id != gid));
        }
        Some(Account {
            uid: line[2].parse().ok()?,
            gid,
            groups,
            name: line[0].clone(),
            home: line[5].clone(),
            shell: line[6].clone(),
        })
    }

    /// The id of a group, by name or number.
    #[must_use]
    pub fn group_id(&self, name: &str) -> Option<u32> {
        let of_line = |line: &str| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
        };
        self.group.lines().find_map(of_line).or_else(|| name.parse().ok())
    }
}
