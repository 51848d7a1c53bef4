-- Leave half of the contacts.
-- Variable: half (0 or 1).
DELETE FROM crm.contact_opt_outs WHERE get_byte(decode(md5(contact_id), 'hex'), 0) / 128 <> :half;
DELETE FROM crm.contacts WHERE get_byte(decode(md5(id), 'hex'), 0) / 128 <> :half;
VACUUM FULL ANALYZE crm.contact_opt_outs, crm.contacts;
